"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, props = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...children);
    return element;
  };

  // Theme: the system's, until someone chooses.
  const theme = document.getElementById("theme");
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme?.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  if (theme) { theme.hidden = false; label(); }

  // Sorting: a column's cells carry what they are sorted by; what is undefined stays last.
  for (const table of all("table[data-sortable]")) {
    const body = table.tBodies[0];
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const name = head.textContent;
      if (!head.hasAttribute("data-sort")) return;
      const button = make("button", { type: "button", textContent: name });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = head.dataset.sort;
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
        const rows = [...body.rows].map((row) => [key(row), row]);
        rows.sort(([a], [b]) => {
          if (a === "" || b === "") return (a === "") - (b === "");
          const numbers = Number(a) - Number(b);
          return sign * (Number.isFinite(numbers) ? numbers : a < b ? -1 : Number(a > b));
        });
        body.append(...rows.map(([, row]) => row));
      });
    });
  }

  // Filtering: by text and by standing, rows and sections alike.
  const text = document.getElementById("filter-text");
  const standing = document.getElementById("filter-standing");
  const shown = document.getElementById("filter-shown");
  const filtered = all("[data-name]");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let count = 0;
    let rows = 0;
    for (const item of filtered) {
      const fits = item.dataset.name.toLowerCase().includes(wanted)
        && (standing.value === "" || item.dataset.standing === standing.value);
      item.hidden = !fits;
      if (item.tagName === "TR") { rows += 1; count += fits; }
    }
    shown.textContent = `${count} of ${rows} shown`;
  };
  if (text) {
    text.form.hidden = false;
    text.form.addEventListener("submit", (event) => event.preventDefault());
    text.addEventListener("input", filter);
    standing.addEventListener("change", filter);
    filter();
  }

  // Pictures: difference and slider are made from the two pictures when a section is opened.
  const stack = (a, b, alt) => {
    const below = make("img", { src: a.src, alt, className: "a" });
    const above = make("img", { src: b.src, alt: "", className: "b" });
    return make("div", { className: "stack" }, below, above);
  };
  const dress = (section) => {
    if (section.dataset.dressed) return;
    section.dataset.dressed = "yes";
    for (const pair of all(".pair", section)) {
      const [a, b] = all("img", pair);
      if (!b) continue;
      const overlay = stack(a, b, "The candidate's picture laid over the baseline's");
      const slider = make("input", { type: "range", min: 0, max: 100, value: 50 });
      slider.setAttribute("aria-label", "Share of the baseline's picture shown");
      slider.addEventListener("input", () => overlay.style.setProperty("--cut", `${slider.value}%`));
      all(".shots", pair)[0].append(
        make("div", { className: "shot diff" }, stack(a, b, "Difference of the two pictures, four times amplified"), "difference ×4"),
        make("div", { className: "shot slide" }, overlay, slider),
      );
    }
  };
  const sections = all("details.drill");
  for (const section of sections) {
    section.addEventListener("toggle", () => section.open && dress(section));
    if (section.open) dress(section);
  }

  // A link to a section opens it.
  const follow = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView({ block: "start" });
    }
  };
  addEventListener("hashchange", follow);
  follow();
  const every = document.getElementById("open-all");
  if (every) {
    every.hidden = false;
    every.addEventListener("click", () => {
      const open = sections.some((section) => !section.open);
      sections.forEach((section) => { section.open = open; });
      every.textContent = open ? "Close all" : "Open all";
    });
  }

  // On paper everything is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = sections.filter((section) => !section.open);
    closed.forEach((section) => { section.open = true; dress(section); });
  });
  addEventListener("afterprint", () => closed.forEach((section) => { section.open = false; }));
})();
