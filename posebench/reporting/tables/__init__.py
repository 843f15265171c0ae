"""Tables: what commands print, and runs as Markdown, LaTeX, CSV, HTML, JUnit and JSON."""
