"""SVG, drawn by hand: axes, marks, bars."""
