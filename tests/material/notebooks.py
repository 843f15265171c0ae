"""Run a notebook's code cells, one after the other, as a kernel would, without Jupyter."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def code_cells(notebook: Path) -> list[Cell]:
    """Return the code cells of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_cells(cells: list[Cell]) -> list[list[dict[str, Any]]]:
    """Run cells in one namespace and return their outputs, as notebooks keep them."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    return [_outputs("".join(cell["source"]), namespace, n) for n, cell in enumerate(cells, 1)]


def _outputs(source: str, namespace: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run a cell; return what it printed, and the value of its last expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), f"<cell {number}>", "exec"), namespace)
        if isinstance(last, ast.Expr):
            expression = compile(ast.Expression(last.value), f"<cell {number}>", "eval")
            value = eval(expression, namespace)
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        lines = text.splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        shown = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
        outputs.append({**shown, "data": data})
    return outputs
