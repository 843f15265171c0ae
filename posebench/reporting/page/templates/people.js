(() => {
  const source = document.getElementById("people-data");
  if (!source) return;
  const { words, persons, models, first } = JSON.parse(source.textContent);
  const controls = document.querySelector(".browser-controls");
  const list = document.getElementById("people-items");
  const more = document.querySelector("#people .more");
  const step = 24;
  let found = [];
  let shown = 0;

  function element(tag, text, className) {
    const made = document.createElement(tag);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function errorsOf(model, row) {
    return words.errors.filter((_, bit) => model.errors[row] & (1 << bit));
  }

  function tile(index, row) {
    const model = models[index];
    const figure = element("figure", "", "tile");
    const where = persons.picture[row];
    if (where) {
      const image = element("img", "", "crop");
      image.loading = "lazy";
      image.alt = `Ground truth and the pose of ${model.name}`;
      image.src = `${where}#m${index}`;
      figure.append(image);
    }
    const caption = element("figcaption");
    const swatch = element("span", "", `swatch ${model.look}`);
    const errors = errorsOf(model, row).join(", ");
    caption.append(swatch, ` ${model.name}: OKS ${model.oks[row]}${errors ? ` · ${errors}` : ""}`);
    figure.append(caption);
    return figure;
  }

  function card(row, one, other) {
    const made = element("article", "", "person");
    made.append(element("h3", `Image ${persons.image[row]}, person ${persons.person[row]}`));
    const facts = [
      words.sizes[persons.size[row]],
      words.crowding[persons.crowding[row]],
      `${persons.labelled[row]} keypoint${persons.labelled[row] === 1 ? "" : "s"} labelled`,
    ];
    if (words.data.length > 1) facts.push(words.data[persons.data[row]]);
    made.append(element("p", facts.join(" · "), "why"));
    const tiles = element("div", "", "tiles");
    for (const index of [one, other]) {
      if (index !== null && models[index].oks[row] !== null) tiles.append(tile(index, row));
    }
    made.append(tiles);
    return made;
  }

  function chosen() {
    const value = (name) => {
      const input = controls.elements[name];
      return input && input.value !== "" ? Number(input.value) : null;
    };
    const wish = { error: controls.elements.error.value, order: controls.elements.order.value };
    for (const name of ["one", "other", "data", "size", "crowding", "low", "high", "apart"]) {
      wish[name] = value(name);
    }
    if (wish.other === wish.one) wish.other = null;
    return wish;
  }

  function gap(row, wish) {
    return models[wish.other].oks[row] - models[wish.one].oks[row];
  }

  function fits(row, wish) {
    const one = models[wish.one];
    const other = wish.other === null ? null : models[wish.other];
    const sides = [one, other].filter(Boolean);
    if (sides.some((side) => side.oks[row] === null)) return false;
    for (const name of ["data", "size", "crowding"]) {
      if (wish[name] !== null && persons[name][row] !== wish[name]) return false;
    }
    if (wish.error === "none" && sides.some((side) => side.errors[row])) return false;
    const bit = wish.error && wish.error !== "none" ? 1 << Number(wish.error) : 0;
    if (bit && !sides.some((side) => side.errors[row] & bit)) return false;
    const within = ({ oks }) => oks[row] >= (wish.low ?? 0) && oks[row] <= (wish.high ?? 100);
    if (!sides.some(within)) return false;
    return !other || Math.abs(gap(row, wish)) >= (wish.apart ?? 0);
  }

  function sorted(rows, wish) {
    const worst = (row) => models[wish.one].oks[row];
    const keys = {
      apart: (row) => -Math.abs(gap(row, wish)),
      gain: (row) => -gap(row, wish),
      loss: (row) => gap(row, wish),
      worst,
      file: (row) => row,
    };
    const compares = ["apart", "gain", "loss"].includes(wish.order);
    const key = compares && wish.other === null ? worst : keys[wish.order];
    return rows.map((row) => [key(row), row]).sort((a, b) => a[0] - b[0] || a[1] - b[1])
      .map(([, row]) => row);
  }

  function showMore(wish) {
    const next = found.slice(shown, shown + step);
    list.append(...next.map((row) => card(row, wish.one, wish.other)));
    shown += next.length;
    more.hidden = shown >= found.length;
    controls.querySelector(".count").textContent =
      `${found.length} of ${persons.person.length} persons; ${shown} shown`;
  }

  function apply() {
    const wish = chosen();
    found = sorted(persons.person.map((_, row) => row).filter((row) => fits(row, wish)), wish);
    shown = 0;
    list.replaceChildren();
    showMore(wish);
  }

  function reset() {
    for (const each of controls.elements) {
      if (each.tagName === "SELECT") each.selectedIndex = 0;
      if (each.tagName === "INPUT") each.value = each.defaultValue;
    }
    const [one = 0, other = ""] = first;
    controls.elements.one.value = String(one);
    controls.elements.other.value = String(other);
    apply();
  }

  controls.addEventListener("input", apply);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.querySelector(".reset").addEventListener("click", reset);
  more.querySelector("button").addEventListener("click", () => showMore(chosen()));
  controls.hidden = false;
  reset();
})();
