"use strict";

document.querySelectorAll(".slider input").forEach(function (input) {
  function move() {
    input.parentElement.style.setProperty("--split", input.value + "%");
  }
  input.addEventListener("input", move);
  move(); // browsers bring back the old value when a page is loaded again
});

document.querySelectorAll(".left-choice input").forEach(function (choice) {
  function choose() {
    if (choice.checked) {
      document.body.dataset.left = choice.value;
      document.querySelectorAll(".slider input").forEach(function (input) {
        input.setAttribute("aria-label", input.dataset[choice.value]);
      });
    }
  }
  choice.addEventListener("change", choose);
  choose();
});

document.querySelectorAll("th button").forEach(function (button) {
  const heading = button.closest("th");
  const table = heading.closest("table");
  const column = Number(button.dataset.column);

  function value(row) {
    const text = row.cells[column].textContent;
    if (column === 0) return text;
    if (text === "") return -Infinity;
    return text === "inf" ? Infinity : Number(text);
  }

  button.addEventListener("click", function () {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    const sign = ascending ? 1 : -1;
    const rows = Array.from(table.tBodies[0].rows);
    rows.sort(function (a, b) {
      const x = value(a);
      const y = value(b);
      if (column === 0) return sign * x.localeCompare(y, undefined, { numeric: true });
      return x === y ? 0 : sign * (x < y ? -1 : 1);
    });
    table.tBodies[0].append.apply(table.tBodies[0], rows);
    table.querySelectorAll("th[aria-sort]").forEach(function (other) {
      other.setAttribute("aria-sort", "none");
    });
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  });
});
