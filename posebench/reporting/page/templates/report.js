"use strict";
(() => {
  const missing = new Set(["", "–"]);

  function number(text) {
    if (missing.has(text)) return NaN;
    return parseFloat(text.replace(",", "").replace("−", "-").replace("<", ""));
  }

  function compare(a, b, numeric) {
    if (!numeric) return a.localeCompare(b, undefined, { numeric: true });
    return number(a) - number(b);
  }

  function isEmpty(text, numeric) {
    return numeric ? Number.isNaN(number(text)) : missing.has(text);
  }

  /* Rows without a value stay last, whichever way the others go. */
  function sortRows(table, index, descending) {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[index].classList.contains("number");
    const keyed = [...body.rows].map((row) => [row.cells[index].textContent.trim(), row]);
    keyed.sort(([a], [b]) => {
      const [emptyA, emptyB] = [isEmpty(a, numeric), isEmpty(b, numeric)];
      if (emptyA || emptyB) return emptyA - emptyB;
      return (descending ? -1 : 1) * compare(a, b, numeric);
    });
    body.append(...keyed.map(([, row]) => row));
  }

  function makeSortable(table) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      header.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = header.getAttribute("aria-sort");
        const first = header.classList.contains("number") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const now = before === first ? other : first;
        headers.forEach((each) => each.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", now);
        sortRows(table, index, now === "descending");
      });
    });
  }

  function textsOf(row, headers, name) {
    return row.cells ? row.cells[headers.indexOf(name)].textContent.trim() : row.dataset[name];
  }

  function makeFilter(controls) {
    const target = document.getElementById(controls.dataset.for);
    const table = target.querySelector("table");
    const rows = table ? [...table.tBodies[0].rows] : [...target.children];
    const headers = table ? [...table.tHead.rows[0].cells].map((c) => c.textContent.trim()) : [];
    const search = controls.querySelector("input");
    const selects = [...controls.querySelectorAll("select")];
    const count = controls.querySelector(".count");

    function apply() {
      const words = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const fits =
          words.every((word) => text.includes(word)) &&
          selects.every(({ value, dataset }) =>
            !value || textsOf(row, headers, dataset.header || dataset.field) === value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} of ${rows.length} shown`;
    }

    controls.addEventListener("input", apply);
    controls.querySelector(".reset").addEventListener("click", () => {
      if (search) search.value = "";
      selects.forEach((select) => { select.value = ""; });
      apply();
    });
    controls.hidden = false;
    apply();
  }

  /* On paper nothing can be unfolded. */
  function unfoldForPrint() {
    let unfolded = [];
    addEventListener("beforeprint", () => {
      unfolded = [...document.querySelectorAll("article details:not([open]), .troubles details:not([open])")];
      unfolded.forEach((each) => { each.open = true; });
    });
    addEventListener("afterprint", () => unfolded.forEach((each) => { each.open = false; }));
  }

  document.querySelectorAll(".filters").forEach(makeFilter);
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  unfoldForPrint();
})();
