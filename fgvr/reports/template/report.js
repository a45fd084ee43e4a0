"use strict";
(() => {
  // each photo is in the page once; elements get theirs when they come into view
  const photos = JSON.parse(document.getElementById("photo-data").textContent);
  const show = (element) => {
    if (!element.src) element.src = "data:image/jpeg;base64," + photos[Number(element.dataset.photo)];
  };
  const images = document.querySelectorAll("img[data-photo]");
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        show(entry.target);
        near.unobserve(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  images.forEach((element) => near.observe(element));
  window.addEventListener("beforeprint", () => images.forEach((element) => element.closest("[hidden]") || show(element)));

  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const sort = (table, column) => {
    const head = table.tHead.rows[0].cells[column];
    const number = head.classList.contains("number");
    // numbers start with the largest, words with the first
    const first = number ? "descending" : "ascending";
    const last = number ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? last : first;
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const cell = row.cells[column];
      if (!number) return cell.textContent.trim();
      return cell.dataset.sort === "" || cell.dataset.sort === "nan" ? null : Number(cell.dataset.sort);
    };
    const compare = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (number ? a - b : words.compare(a, b));
    };
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => ({ row, key: key(row) }));
    rows.sort((a, b) => compare(a.key, b.key));
    body.append(...rows.map(({ row }) => row));
    for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells, (cell, column) =>
      cell.querySelector("button").addEventListener("click", () => sort(table, column)));
  }

  const PAGE = 60;
  for (const gallery of document.querySelectorAll(".gallery")) {
    const cards = Array.from(gallery.querySelectorAll(".card"), (card) => ({ card, text: null }));
    const [filter, choice, count, more] = ["input", "select", "output", ".more"].map((part) => gallery.querySelector(part));
    let shown = PAGE;
    const update = () => {
      const wanted = filter.value.trim().toLowerCase();
      let found = 0;
      for (const entry of cards) {
        if (wanted && entry.text === null) entry.text = entry.card.textContent.toLowerCase();
        const fits = (!choice.value || entry.card.dataset.kinds.split(" ").includes(choice.value)) &&
          (!wanted || entry.text.includes(wanted));
        found += fits;
        entry.card.hidden = !fits || found > shown;
      }
      count.textContent = `${found.toLocaleString("en")} of ${cards.length.toLocaleString("en")} photos`;
      more.hidden = found <= shown;
      more.textContent = `Show ${Math.min(PAGE, found - shown)} more`;
    };
    const restart = () => { shown = PAGE; update(); };
    filter.addEventListener("input", restart);
    choice.addEventListener("change", restart);
    more.addEventListener("click", () => { shown += PAGE; update(); });
    update();
  }
})();
