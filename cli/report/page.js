"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".card")].map((node) => ({
    node,
    text: (node.textContent + " " + node.dataset.file).toLowerCase(),
    classes: node.dataset.classes.split(" "),
    box: node.querySelector(".seen"),
  }));
  const groups = [...document.querySelectorAll(".group")].map((node) => ({
    node,
    title: node.querySelector("summary").textContent.toLowerCase(),
    items: [...node.querySelectorAll("li")].map((item) => ({ node: item, text: item.textContent.toLowerCase() })),
  }));
  const key = "backpop:" + location.pathname;
  let reviewed = new Set();
  try { reviewed = new Set(JSON.parse(localStorage.getItem(key) || "[]")); } catch { /* not kept here */ }
  const title = (card) => card.node.querySelector("h3").textContent;
  const keep = () => {
    const titles = cards.filter((card) => card.box.checked).map(title);
    try { localStorage.setItem(key, JSON.stringify(titles)); } catch { /* not kept here */ }
  };

  // A search is words that must all be there; class:Name is a class that takes part.
  const show = () => {
    const words = $("search").value.trim().split(/\s+/).filter(Boolean);
    const wanted = words.filter((word) => word.startsWith("class:")).map((word) => word.slice(6));
    const texts = words.filter((word) => !word.startsWith("class:")).map((word) => word.toLowerCase());
    const direction = $("direction").value;
    const file = $("file").value;
    let count = 0;
    for (const card of cards) {
      const fits = texts.every((word) => card.text.includes(word))
        && wanted.every((name) => card.classes.includes(name))
        && (!direction || card.node.dataset.direction === direction)
        && (!file || card.node.dataset.file === file)
        && !($("unseen").checked && card.box.checked);
      card.node.hidden = !fits;
      count += fits;
    }
    for (const group of groups) {
      let left = 0;
      for (const item of group.items) {
        item.node.hidden = !texts.every((word) => (group.title + item.text).includes(word));
        left += !item.node.hidden;
      }
      group.node.hidden = !left;
    }
    const done = cards.filter((card) => card.box.checked).length;
    $("count").textContent = `${count} of ${cards.length} shown, ${done} reviewed`;
    $("none").hidden = count > 0 || !cards.length;
  };

  const move = (step) => {
    const shown = cards.filter((card) => !card.node.hidden).map((card) => card.node);
    const here = shown.indexOf(document.activeElement.closest(".card"));
    const next = shown[here < 0 ? (step > 0 ? 0 : shown.length - 1) : here + step];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "start" }); }
  };

  for (const card of cards) {
    card.box.checked = reviewed.has(title(card));
    card.box.addEventListener("change", () => { keep(); show(); });
  }
  for (const id of ["search", "direction", "file", "unseen"]) {
    for (const kind of ["input", "change"]) $(id).addEventListener(kind, show);
  }
  $("bar").addEventListener("submit", (event) => event.preventDefault());
  for (const link of document.querySelectorAll("svg a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      $("search").value = "class:" + link.dataset.class;
      show();
      $("pairs").scrollIntoView();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input[type=search], select");
    if (event.key === "Escape" && event.target === $("search")) {
      $("search").value = "";
      show();
      $("search").blur();
    } else if (!typing && event.key === "/") {
      event.preventDefault();
      $("search").focus();
    } else if (!typing && (event.key === "j" || event.key === "k")) {
      move(event.key === "j" ? 1 : -1);
    } else if (!typing && event.key === "x") {
      const card = document.activeElement.closest(".card");
      if (card) card.querySelector(".seen").click();
    }
  });
  show();
})();
