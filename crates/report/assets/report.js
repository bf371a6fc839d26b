"use strict";
// Behaviour of report.html. Every number shown comes from the embedded data; nothing is computed but its rounding.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const sections = [...document.querySelectorAll("section.map")];
  const buttons = [...document.querySelectorAll(".switch button")];
  const indexOf = new Map(data.blocks.map(([i, j], index) => [`${i},${j}`, index]));
  const minus = (text) => text.replace("-", "\u2212");
  const number = (value, digits) => (Math.abs(value) >= 1e6 ? value.toExponential(2) : value.toFixed(digits));
  const signed = (value, digits) => {
    const text = number(value, digits);
    return Number(text) === 0 ? (0).toFixed(digits) : (value > 0 ? "+" : "") + minus(text);
  };
  let shown = 0;

  function show(which) {
    shown = which;
    sections.forEach((section, index) => { section.hidden = index !== which; });
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === which)));
  }

  // What the panel says about block number `index` of map number `which`.
  function describe(which, index) {
    const map = data.maps[which];
    const [i, j, path] = data.blocks[index];
    const cell = map.cells[index];
    const row = (data.rows[map.probe] || [])[index];
    const baseline = i === 0 && j === 0;
    const facts = [["path", path]];
    let headline = "not measured";
    if (cell) {
      const [score, delta, low, high] = cell;
      headline = baseline ? "baseline" : delta === null ? "no delta" : signed(delta, map.decimals);
      if (low !== null) {
        const noise = low <= 1e-12 && high >= -1e-12;
        // An interval that excludes 0 must not look as if it ended there.
        let digits = map.decimals;
        while (!noise && digits < 13 && (Number(low.toFixed(digits)) === 0 || Number(high.toFixed(digits)) === 0)) digits += 1;
        facts.push(["interval", `[${signed(low, digits)}, ${signed(high, digits)}]${noise ? ", includes 0" : ""}`]);
      }
      if (score !== null) facts.push(["score", number(score, map.decimals + 1)]);
      const seen = map.dropped?.[index] ?? null;
      facts.push(["questions", seen === null ? String(map.n) : `${seen} of ${map.n}: dropped out of the screening, not ranked`]);
    }
    if (row) {
      const scope = map.group === null ? "" : ` of ${row[0]} in all groups`;
      facts.push(["parse failures", row[1] + scope], ["truncated", row[2] + scope], ["loops", row[3] + scope]);
      for (const note of row[4]) facts.push(["note", note]);
    }
    if (!baseline) facts.push(["extra visits", `${j - i} of ${data.info.model.layers} layers`]);
    return { name: `(${i}, ${j})`, headline, facts };
  }

  function fill(panel, { name, headline, facts }) {
    panel.querySelector("h3").textContent = `block ${name}`;
    panel.querySelector(".delta").textContent = headline;
    const list = panel.querySelector("dl");
    list.replaceChildren();
    for (const [key, value] of facts) {
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = key;
      description.textContent = value;
      if (key === "path") description.className = "path";
      list.append(term, description);
    }
  }

  sections.forEach((section, which) => {
    const svg = section.querySelector("svg.heatmap");
    const panel = section.querySelector(".panel");
    const figure = section.querySelector("figure");
    const [depth, left, top, size] = ["depth", "left", "top", "cell"].map((name) => Number(svg.dataset[name]));
    const make = (kind, name) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
      element.setAttribute("class", name);
      svg.append(element);
      return element;
    };
    const guides = [make("path", "guide"), make("rect", "cursor halo"), make("rect", "cursor")];
    let current = Number(section.dataset.best);
    let pinned = false;

    function select(index) {
      current = index;
      const [i, j] = data.blocks[index];
      const [x, y] = [left + size * j, top + size * i];
      guides[0].setAttribute("d", `M${x + size / 2} ${top - 26}V${y}M${x + size} ${y + size / 2}H${left + size * (depth + 1) + 26}`);
      guides.slice(1).forEach((box) => {
        for (const [name, value] of [["x", x], ["y", y], ["width", size], ["height", size]]) box.setAttribute(name, value);
      });
      fill(panel, describe(which, index));
    }

    function under(event) {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      return indexOf.get(`${Math.floor((point.y - top) / size)},${Math.floor((point.x - left) / size)}`);
    }
    svg.addEventListener("pointermove", (event) => {
      const index = under(event);
      if (!pinned && index !== undefined) select(index);
    });
    svg.addEventListener("click", (event) => {
      const index = under(event);
      pinned = index !== undefined && !(pinned && index === current);
      if (index !== undefined) select(index);
    });
    figure.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      let next;
      if (event.key === "Home") next = 0;
      else if (event.key === "End") next = Number(section.dataset.best);
      else if (event.key === "Escape") { pinned = false; return; }
      else if (steps[event.key]) {
        const [i, j] = data.blocks[current];
        const [down, right] = steps[event.key];
        next = indexOf.get(`${i + down},${j + right}`);
        // From the baseline, the only block of column 0, the nearest neighbour is (0, 1).
        if (next === undefined && current === 0) next = indexOf.get("0,1");
      } else return;
      event.preventDefault();
      if (next !== undefined) { pinned = true; select(next); }
    });
    section.querySelectorAll("tbody tr").forEach((row) => {
      row.addEventListener("pointerenter", () => { if (!pinned) select(Number(row.dataset.index)); });
    });
    section.querySelectorAll("thead button").forEach((button, column) => {
      button.addEventListener("click", () => {
        const heading = button.closest("th");
        const up = heading.getAttribute("aria-sort") === "descending";
        section.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = section.querySelector("tbody");
        const value = (row) => row.cells[column].dataset.value;
        const order = (a, b) => {
          const [x, y] = [value(a), value(b)];
          return x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        };
        body.append(...[...body.rows].sort((a, b) => (up ? order(a, b) : order(b, a))));
      });
    });
    panel.hidden = false;
    // The box comes with the first movement; until then it would hide the ring.
    if (data.blocks.length) fill(panel, describe(which, current));
  });

  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const named = (map) => `${data.info.model.id}-${map.probe}${map.group === null ? "" : "-" + map.group}`.replace(/[^\p{L}\p{N}.-]+/gu, "_");
  const downloads = {
    json: () => save("report.json", "application/json", JSON.stringify(data)),
    csv: () => {
      const map = data.maps[shown];
      const lines = map.cells.map((cell, index) =>
        [quoted(map.probe), quoted(map.group ?? ""), ...data.blocks[index].slice(0, 2), quoted(data.blocks[index][2]), ...(cell ?? ["", "", "", ""]), cell ? map.dropped?.[index] ?? map.n : ""].join(","));
      save(`${named(map)}.csv`, "text/csv", ["probe,group,i,j,path,score,delta,low,high,questions", ...lines, ""].join("\n"));
    },
    svg: () => {
      const picture = sections[shown].querySelector("svg.heatmap").cloneNode(true);
      picture.querySelectorAll(".cursor, .guide").forEach((element) => element.remove());
      save(`${named(data.maps[shown])}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(picture));
    },
  };
  document.querySelectorAll("[data-download]").forEach((button) => button.addEventListener("click", downloads[button.dataset.download]));
  document.querySelector(".downloads").hidden = false;
  buttons.forEach((button, index) => button.addEventListener("click", () => show(index)));
  if (sections.length) show(0);
})();
