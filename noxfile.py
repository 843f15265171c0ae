"""What a change must pass, as sessions that people and CI run alike; `nox -l` lists them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["lint", "types", "tests-3.11", "docs"]

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
PINNED = ("-c", "constraints.txt")
# Rooms that need neither rendered scenes nor networks that run.
QUICK = ("tests/files", "tests/suites", "tests/scoring", "tests/results", "tests/test_package.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and the form of files, as before each commit."""
    session.install(*PINNED, "pre-commit", "pre-commit-hooks", "ruff")
    # Types are a session of their own.
    skipped = {"SKIP": "mypy"}
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", env=skipped)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of package, tests and benchmarks."""
    session.install(*PINNED, "-e", ".[test]")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests with the versions that committed numbers were made with."""
    session.install(*PINNED, "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.10")
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    # Old releases warn of what they themselves call.
    session.run("pytest", "-W", "ignore::DeprecationWarning", *session.posargs)


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions there are."""
    session.install("--upgrade", "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into `site/`; a warning is an error."""
    session.install(*PINNED, "-e", ".[docs]")
    session.run("mkdocs", "build", "--strict", *session.posargs)


@nox.session
def sdist(session: nox.Session) -> None:
    """Build an sdist, install it where no checkout is, and run some of the tests it holds."""
    folder = Path(session.create_tmp()).resolve()
    session.install("build")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder), silent=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    (unpacked,) = (path for path in folder.iterdir() if (path / "PKG-INFO").is_file())
    session.chdir(unpacked)
    session.install(*PINNED, ".[test]")
    session.run("pytest", *(session.posargs or QUICK))


@nox.session(venv_backend="none")
def dev(session: nox.Session) -> None:
    """Make `.venv`, an environment with everything that working on posebench needs."""
    session.run("uv", "venv", "--allow-existing", ".venv")
    session.run("uv", "pip", "install", "-p", ".venv", *PINNED, "-e", ".[dev]")
