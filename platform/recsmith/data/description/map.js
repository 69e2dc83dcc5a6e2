"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const frame = document.getElementById("map");
  const select = document.getElementById("colouring");
  const legend = document.getElementById("legend");
  const tip = document.getElementById("tip");
  const canvas = frame.querySelector("canvas");
  const EDGE = 14;
  let chosen = data.colourings[0];
  let alone = null; // the one group that is shown, or none
  let hovered = -1;

  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isRest = (group) => group === chosen.groups.length - 1;

  function colour(group) {
    if (isRest(group)) return variable("--other");
    if (!chosen.ordered) return variable(`--c${group}`);
    const steps = Math.max(chosen.groups.length - 2, 1);
    return variable(`--s${Math.round((group * 4) / steps)}`);
  }

  // Colour is not the only sign: each group of a colouring without an order has a shape of its own.
  function mark(pen, group, x, y, r) {
    pen.beginPath();
    const shape = chosen.ordered || isRest(group) ? 0 : group;
    if (shape === 1) pen.rect(x - r, y - r, 2 * r, 2 * r);
    else if (shape === 2) { pen.moveTo(x, y - 1.3 * r); pen.lineTo(x + 1.2 * r, y + r); pen.lineTo(x - 1.2 * r, y + r); }
    else if (shape === 3) { pen.moveTo(x, y - 1.4 * r); pen.lineTo(x + 1.4 * r, y); pen.lineTo(x, y + 1.4 * r); pen.lineTo(x - 1.4 * r, y); }
    else if (shape === 4) { pen.moveTo(x, y + 1.3 * r); pen.lineTo(x + 1.2 * r, y - r); pen.lineTo(x - 1.2 * r, y - r); }
    else if (shape === 5) { pen.rect(x - 1.3 * r, y - 0.5 * r, 2.6 * r, r); pen.rect(x - 0.5 * r, y - 1.3 * r, r, 2.6 * r); }
    else pen.arc(x, y, r, 0, 2 * Math.PI);
    pen.fill();
  }

  const width = () => canvas.clientWidth;
  const height = () => Math.round(Math.min(width(), 720));
  const side = () => Math.min(width(), height()) - 2 * EDGE;
  const atX = (point) => (width() - side()) / 2 + data.x[point] * side();
  const atY = (point) => EDGE + (1 - data.y[point]) * side();

  function sharp(target, w, h) {
    const scale = window.devicePixelRatio || 1;
    target.width = Math.round(w * scale);
    target.height = Math.round(h * scale);
    const pen = target.getContext("2d");
    pen.scale(scale, scale);
    return pen;
  }

  function draw() {
    canvas.style.height = `${height()}px`;
    const pen = sharp(canvas, width(), height());
    const r = data.x.length > 1500 ? 2.2 : 3.4;
    const order = [...chosen.groups.keys()].sort((a, b) => isRest(b) - isRest(a));
    for (const group of order) {
      pen.fillStyle = colour(group);
      pen.globalAlpha = alone === null ? 0.85 : group === alone ? 1 : 0.07;
      for (let point = 0; point < data.x.length; point++)
        if (chosen.of[point] === group) mark(pen, group, atX(point), atY(point), r);
    }
    pen.globalAlpha = 1;
    if (hovered >= 0) {
      pen.strokeStyle = variable("--text");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(atX(hovered), atY(hovered), r + 4, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function list() {
    const counts = chosen.groups.map(() => 0);
    for (const group of chosen.of) counts[group]++;
    legend.replaceChildren();
    chosen.groups.forEach((name, group) => {
      if (!counts[group]) return;
      const entry = document.createElement("li");
      const button = document.createElement("button");
      const sign = document.createElement("canvas");
      button.type = "button";
      button.setAttribute("aria-pressed", String(alone === group));
      button.append(sign, `${name} (${counts[group].toLocaleString("en")})`);
      button.addEventListener("click", () => {
        alone = alone === group ? null : group;
        for (const other of legend.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(alone === group));
        draw();
      });
      entry.append(button);
      legend.append(entry);
      const pen = sharp(sign, 14, 14);
      pen.fillStyle = colour(group);
      mark(pen, group, 7, 7, 4.2);
    });
  }

  function hover(event) {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    let nearest = -1;
    let least = 14 * 14;
    for (let point = 0; point < data.x.length; point++) {
      if (alone !== null && chosen.of[point] !== alone) continue;
      const apart = (atX(point) - x) ** 2 + (atY(point) - y) ** 2;
      if (apart < least) { least = apart; nearest = point; }
    }
    if (nearest === hovered) return;
    hovered = nearest;
    tip.hidden = nearest < 0;
    if (nearest >= 0) {
      const name = data.name[nearest];
      tip.textContent = `${name ? `${name} (${data.row[nearest]})` : data.row[nearest]}: ${chosen.groups[chosen.of[nearest]]}`;
      const left = atX(nearest) + 12;
      tip.style.left = `${Math.max(0, Math.min(left, width() - tip.offsetWidth - 2))}px`;
      tip.style.top = `${Math.min(atY(nearest) + 12, height() - tip.offsetHeight - 2)}px`;
    }
    draw();
  }

  function leave() {
    hovered = -1;
    tip.hidden = true;
    draw();
  }

  data.colourings.forEach((colouring, number) => select.add(new Option(colouring.name, String(number))));
  select.addEventListener("change", () => {
    chosen = data.colourings[Number(select.value)];
    alone = null;
    list();
    draw();
  });
  canvas.addEventListener("pointermove", hover);
  canvas.addEventListener("pointerleave", leave);
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { list(); draw(); });
  list();
  draw();
})();
