// Slices of a volume in three linked planes, drawn with canvas 2D. Asks nobody but its kernel.
// Voxels run to the patient's left, back and head: axes 0, 1, 2.
const PLANES = [
  { name: "axial", across: 0, down: 1, along: 2, up: false },
  { name: "coronal", across: 0, down: 2, along: 1, up: true },
  { name: "sagittal", across: 1, down: 2, along: 0, up: true },
];
const KEPT = 256e6; // bytes of frames that a page keeps

const element = (name, values = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(values)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(key, value === true ? "" : value);
  }
  // JupyterLab takes the arrow keys of whatever has the focus and does not say this.
  if (["input", "select", "button"].includes(name)) made.setAttribute("data-lm-suppress-shortcuts", "true");
  made.append(...children);
  return made;
};

const icon = (path) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of [["viewBox", "0 0 16 16"], ["aria-hidden", "true"]]) made.setAttribute(key, value);
  const line = document.createElementNS(made.namespaceURI, "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
};

const typed = (view, type) => {
  const wide = type === "uint8" ? 1 : 2;
  let [buffer, start] = [view.buffer ?? view, view.byteOffset ?? 0];
  if (start % wide) [buffer, start] = [buffer.slice(start, start + view.byteLength), 0];
  return new (wide === 1 ? Uint8Array : Uint16Array)(buffer, start, view.byteLength / wide);
};

function render({ model, el }) {
  const head = model.get("head");
  const words = model.get("words");
  const { shape, affine, ends, gap } = head;
  const say = (key, values = {}) =>
    Object.entries(values).reduce((text, [k, v]) => text.replace(`{${k}}`, v), words[key] ?? key);
  const spacing = [0, 1, 2].map((c) => Math.hypot(affine[0][c], affine[1][c], affine[2][c]));
  const extent = shape.map((n, axis) => n * spacing[axis]);
  const stride = [1, shape[0], shape[0] * shape[1]];
  const names = new Map(head.labels.map((l) => [l.number, l.name || say("label", { n: l.number })]));
  const formats = new Map();
  const written = (value, most, least = most) => {
    const key = `${least}-${most}`;
    if (!formats.has(key)) {
      const places = { minimumFractionDigits: least, maximumFractionDigits: most, useGrouping: false };
      formats.set(key, new Intl.NumberFormat(head.language, places));
    }
    return formats.get(key).format(value).replace("-", "\u2212");
  };

  let at = shape.map((n) => n >> 1);
  let [centre, width] = head.windows[head.window];
  let frame = null; // { voxels, type, slope, intercept }
  let labels = null;
  let grey = null; // stored value -> colour, 32 bit
  let opacity = 0.35;
  const hidden = new Set();
  const kept = new Map();
  const wanted = { number: 0, asked: -1 };

  // ---- Values and places

  const stored = (i) => (frame.type === "int16" ? (frame.voxels[i] << 16) >> 16 : frame.voxels[i]);
  const placeOf = (voxel) => voxel[0] * stride[0] + voxel[1] * stride[1] + voxel[2] * stride[2];
  const mm = (voxel) =>
    [0, 1, 2].map((r) => affine[r].slice(0, 3).reduce((s, v, c) => s + v * voxel[c], affine[r][3]));
  const side = (row, value) => `${"LPH RAF".charAt(value < 0 ? row + 4 : row)} ${written(Math.abs(value), 1)}`;
  const digits = () => {
    const step = Math.min(Math.abs(frame?.slope ?? 1), width / 200);
    return Number.isInteger(frame?.slope ?? 1) && Number.isInteger(frame?.intercept ?? 0)
      ? 0 : Math.min(6, Math.max(0, Math.ceil(-Math.log10(step))));
  };

  function makeGrey() {
    const size = frame.type === "uint8" ? 256 : 65536;
    grey = new Uint32Array(size);
    const dark = invert.checked;
    for (let i = 0; i < size; i++) {
      const raw = size === 256 ? i : (i << 16) >> 16;
      const value = raw * frame.slope + frame.intercept;
      let v = Math.min(255, Math.max(0, Math.round(((value - centre) / width + 0.5) * 255)));
      if (dark) v = 255 - v;
      if (size === 65536 && raw === gap) v = dark ? 255 : 0; // as what lies around the image
      grey[i] = 0xff000000 | (v << 16) | (v << 8) | v;
    }
  }

  // ---- Panes

  const panes = PLANES.map((plane) => {
    const n = shape[plane.along];
    const title = say(plane.name);
    const told = element("span", { class: "wbv-told" });
    const canvas = element("canvas", { class: "wbv-canvas", role: "img" });
    const slider = element("input", {
      type: "range", min: 0, max: n - 1, value: at[plane.along], "aria-label": title,
      disabled: n === 1, oninput: () => move(plane.along, slider.valueAsNumber),
    });
    const enlarge = element("button", {
      type: "button", class: "wbv-icon", "aria-pressed": "false",
      "aria-label": say("enlarge", { name: title }), title: say("enlarge", { name: title }),
      onclick: () => {
        const large = enlarge.getAttribute("aria-pressed") !== "true";
        enlarge.setAttribute("aria-pressed", large);
        panes.forEach((p) => { p.box.hidden = large && p.plane !== plane; });
        root.classList.toggle("wbv-one", large);
        arrange();
      },
    }, icon("M9 2h5v5M14 2 9 7M7 14H2V9M2 14l5-5"));
    const box = element("div", { class: "wbv-pane", role: "group", "aria-label": title },
      element("div", { class: "wbv-head" }, element("strong", {}, title), told, enlarge),
      canvas, slider);
    const [w, h] = [shape[plane.across], shape[plane.down]];
    const layer = () => Object.assign(document.createElement("canvas"), { width: w, height: h });
    const pane = { plane, box, canvas, slider, told, image: layer(), overlay: layer(), w, h };
    listen(pane);
    return pane;
  });

  function listen(pane) {
    const { canvas, plane, slider } = pane;
    let drag = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !frame) return;
      canvas.setPointerCapture(event.pointerId);
      drag = { x: event.clientX, y: event.clientY, centre, width, moved: false };
      slider.focus({ preventScroll: true });
      if (event.shiftKey) point(pane, event);
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.moved ||= Math.hypot(dx, dy) > 3;
      if (event.shiftKey) point(pane, event);
      else if (drag.moved) setWindow(drag.centre + (dy * drag.width) / 300, drag.width * 1.006 ** dx);
    });
    canvas.addEventListener("pointerup", (event) => {
      if (drag && !drag.moved) point(pane, event);
      drag = null;
    });
    canvas.addEventListener("pointercancel", () => { drag = null; });
    canvas.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey || !event.deltaY) return; // the page's own zoom
      event.preventDefault();
      move(plane.along, at[plane.along] - Math.sign(event.deltaY));
    }, { passive: false });
  }

  function point(pane, event) {
    const { plane, rect } = pane;
    const frameOf = pane.canvas.getBoundingClientRect();
    const x = (event.clientX - frameOf.left - rect.x) / rect.w;
    const y = (event.clientY - frameOf.top - rect.y) / rect.h;
    const place = [...at];
    place[plane.across] = Math.floor(x * pane.w);
    place[plane.down] = Math.floor((plane.up ? 1 - y : y) * pane.h);
    goTo(place);
  }

  function move(axis, index) {
    const place = [...at];
    place[axis] = index;
    goTo(place);
  }

  function goTo(place) {
    at = place.map((v, axis) => Math.min(shape[axis] - 1, Math.max(0, v)));
    draw();
  }

  // ---- Drawing, once a frame of the screen

  let due = false;
  function draw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; drawNow(); });
  }

  function arrange() {
    const shown = panes.filter((pane) => !pane.box.hidden);
    const room = shown[0].box.clientWidth;
    if (!room) return;
    const across = Math.max(...shown.map((p) => extent[p.plane.across]));
    const down = Math.max(...shown.map((p) => extent[p.plane.down]));
    const most = shown.length === 1 ? Math.max(420, innerHeight * 0.75) : Math.min(520, room * 1.25);
    const tall = Math.round(Math.max(140, Math.min(most, (room * down) / across)));
    const fits = shown.map((p) => Math.min(room / extent[p.plane.across], tall / extent[p.plane.down]));
    const same = Math.min(...fits);
    const dots = devicePixelRatio || 1;
    shown.forEach((pane, i) => {
      // One scale for all planes, unless that leaves one of them tiny.
      const scale = same * 2 > Math.max(...fits) ? same : fits[i];
      const [w, h] = [extent[pane.plane.across] * scale, extent[pane.plane.down] * scale];
      pane.rect = { x: (room - w) / 2, y: (tall - h) / 2, w, h, scale };
      pane.canvas.style.height = `${tall}px`;
      pane.canvas.width = Math.round(room * dots);
      pane.canvas.height = Math.round(tall * dots);
    });
    drawNow();
  }

  function fill(pane) {
    const { plane, w, h } = pane;
    const image = new ImageData(w, h);
    const pixels = new Uint32Array(image.data.buffer);
    const [dx, dy] = [stride[plane.across], stride[plane.down]];
    const start = at[plane.along] * stride[plane.along];
    const { voxels } = frame;
    for (let y = 0, o = 0; y < h; y++) {
      let i = start + (plane.up ? h - 1 - y : y) * dy;
      for (let x = 0; x < w; x++, i += dx) pixels[o++] = grey[voxels[i]];
    }
    pane.image.getContext("2d").putImageData(image, 0, 0);
    if (!labels) return;
    const cover = new ImageData(w, h);
    const over = new Uint32Array(cover.data.buffer);
    const inside = opacity * 255;
    const edge = opacity ? Math.min(255, inside + 115) : 0;
    const turn = plane.up ? -dy : dy;
    for (let y = 0, o = 0; y < h; y++) {
      let i = start + (plane.up ? h - 1 - y : y) * dy;
      for (let x = 0; x < w; x++, i += dx, o++) {
        const label = labels[i];
        if (!label || hidden.has(label)) continue;
        const border = (x && labels[i - dx] !== label) || (x < w - 1 && labels[i + dx] !== label)
          || (y && labels[i - turn] !== label) || (y < h - 1 && labels[i + turn] !== label);
        over[o] = ((border ? edge : inside) << 24) | paint.get(label);
      }
    }
    pane.overlay.getContext("2d").putImageData(cover, 0, 0);
  }

  function drawNow() {
    const place = mm(at);
    for (const pane of panes) {
      const { plane, canvas, rect, slider } = pane;
      const n = shape[plane.along];
      const index = at[plane.along];
      const cut = say("slice", { n: index + 1, all: n });
      pane.told.textContent = cut;
      slider.value = index;
      slider.setAttribute("aria-valuetext", cut);
      canvas.setAttribute("aria-label", `${say(plane.name)}, ${cut}`);
      if (pane.box.hidden || !rect) continue;
      const pen = canvas.getContext("2d");
      const dots = canvas.width / canvas.clientWidth;
      pen.setTransform(dots, 0, 0, dots, 0, 0);
      pen.fillStyle = invert.checked ? "#fff" : "#000";
      pen.fillRect(0, 0, canvas.clientWidth, canvas.clientHeight);
      if (!frame) continue;
      fill(pane);
      pen.imageSmoothingEnabled = true;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(pane.image, rect.x, rect.y, rect.w, rect.h);
      if (labels && opacity) {
        pen.imageSmoothingEnabled = false;
        pen.drawImage(pane.overlay, rect.x, rect.y, rect.w, rect.h);
      }
      mark(pen, pane);
    }
    if (frame) tell(place);
  }

  function mark(pen, { plane, canvas, rect, w, h }) {
    const [wide, tall] = [canvas.clientWidth, canvas.clientHeight];
    const [ink, edge] = invert.checked ? ["#000", "rgba(255,255,255,.85)"] : ["#fff", "rgba(0,0,0,.85)"];
    const x = rect.x + ((at[plane.across] + 0.5) / w) * rect.w;
    const row = plane.up ? h - 1 - at[plane.down] : at[plane.down];
    const y = rect.y + ((row + 0.5) / h) * rect.h;
    const line = (x1, y1, x2, y2) => { pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke(); };
    const cross = (colour, thick) => {
      [pen.strokeStyle, pen.lineWidth] = [colour, thick];
      for (const [a, b] of [[rect.x, x - 9], [x + 9, rect.x + rect.w]]) if (b > a) line(a, y, b, y);
      for (const [a, b] of [[rect.y, y - 9], [y + 9, rect.y + rect.h]]) if (b > a) line(x, a, x, b);
    };
    cross("rgba(0,0,0,.45)", 2.5);
    cross("rgba(255,214,90,.85)", 1);

    pen.font = "600 14px system-ui, 'Liberation Sans', Arial, sans-serif";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    const write = (text, tx, ty, align) => {
      pen.textAlign = align;
      [pen.strokeStyle, pen.lineWidth, pen.fillStyle] = [edge, 3.5, ink];
      pen.strokeText(text, tx, ty);
      pen.fillText(text, tx, ty);
    };
    const [left, right] = ends[plane.across];
    const [first, last] = ends[plane.down];
    write(left, 8, tall / 2, "left");
    write(right, wide - 8, tall / 2, "right");
    write(plane.up ? last : first, wide / 2, 13, "center");
    write(plane.up ? first : last, wide / 2, tall - 13, "center");

    const length = [500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5].find((l) => l * rect.scale < wide / 3.2) ?? 0.2;
    const [x1, y1] = [10, tall - 12];
    const x2 = x1 + length * rect.scale;
    for (const [colour, thick] of [[edge, 4], [ink, 1.5]]) {
      [pen.strokeStyle, pen.lineWidth] = [colour, thick];
      line(x1, y1, x2, y1); line(x1, y1 - 4, x1, y1 + 4); line(x2, y1 - 4, x2, y1 + 4);
    }
    pen.font = "12px system-ui, 'Liberation Sans', Arial, sans-serif";
    write(`${written(length, 1, 0)} mm`, x1, y1 - 12, "left");
  }

  function tell(place) {
    const i = placeOf(at);
    const raw = stored(i);
    const value = frame.type === "int16" && raw === gap
      ? say("gap") : `${written(raw * frame.slope + frame.intercept, digits())} ${head.units}`.trim();
    const sources = head.source.map((s, axis) =>
      [s.name, s.backwards ? s.last - at[axis] * s.step : at[axis] * s.step]);
    const index = ["z", "y", "x"].map((name) => `${name} ${sources.find((s) => s[0] === name)[1]}`);
    const label = labels?.[i];
    readout.replaceChildren(
      element("strong", {}, value),
      element("span", {}, `${place.map((v, row) => side(row, v)).join("  ")} mm`),
      element("span", {}, `${say("voxel")} ${index.join("  ")}`),
      ...(label ? [element("span", { class: "wbv-named" }, swatch(label), names.get(label))] : []),
    );
  }

  // ---- Controls

  const presets = element("select", { "aria-label": say("window"), onchange: () => {
    const chosen = head.windows[presets.value];
    if (chosen) setWindow(...chosen, presets.value);
  } }, ...Object.keys(head.windows).map((key) => element("option", { value: key }, say(key))),
    element("option", { value: "own", hidden: true }, say("own")));
  const number = (key, change) => element("input", { type: "number", step: "any", "aria-label": say(key), onchange: change });
  const level = number("level", () => setWindow(level.valueAsNumber, width));
  const breadth = number("width", () => setWindow(centre, breadth.valueAsNumber));
  const invert = element("input", { type: "checkbox", checked: head.invert, onchange: () => { if (frame) makeGrey(); draw(); } });

  function setWindow(newCentre, newWidth, name = "own") {
    if (Number.isFinite(newCentre)) centre = newCentre;
    if (newWidth > 0) width = newWidth;
    presets.value = name;
    const places = Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(width))));
    level.value = Number(centre.toFixed(places));
    breadth.value = Number(width.toFixed(places));
    if (frame) makeGrey();
    draw();
  }

  const colours = new Map(head.labels.map((l) => [l.number, l.colour]));
  const paint = new Map(head.labels.map(({ number: n, colour: [r, g, b] }) => [n, (b << 16) | (g << 8) | r]));
  const swatch = (n) => {
    const css = `background:rgb(${colours.get(n)})`;
    return element("i", { class: "wbv-swatch", "aria-hidden": "true", style: css });
  };

  function centreOf(label) {
    // The slice that holds most of it, and there the voxel of it nearest to its middle.
    let best = [0, -1];
    for (let z = 0; z < shape[2]; z++) {
      let count = 0;
      for (let i = z * stride[2]; i < (z + 1) * stride[2]; i++) if (labels[i] === label) count++;
      if (count > best[0]) best = [count, z];
    }
    const [count, z] = best;
    if (!count) return null;
    const found = [];
    for (let y = 0, i = z * stride[2]; y < shape[1]; y++) {
      for (let x = 0; x < shape[0]; x++, i++) if (labels[i] === label) found.push([x, y]);
    }
    const [mx, my] = [0, 1].map((k) => found.reduce((s, p) => s + p[k], 0) / count);
    const far = ([x, y]) => (x - mx) ** 2 + (y - my) ** 2;
    return [...found.reduce((a, b) => (far(b) < far(a) ? b : a)), z];
  }

  const boxes = new Map();
  const toggle = (n, shown) => { if (shown) hidden.delete(n); else hidden.add(n); boxes.get(n).checked = shown; };
  const all = element("input", { type: "checkbox", checked: true, onchange: () => {
    for (const n of names.keys()) toggle(n, all.checked);
    draw();
  } });
  const cover = element("input", {
    type: "range", min: 0, max: 100, value: opacity * 100, "aria-label": say("opacity"),
    oninput: () => { opacity = cover.valueAsNumber / 100; draw(); },
  });
  const legend = element("fieldset", { class: "wbv-labels" }, element("legend", {}, say("labels")),
    element("div", { class: "wbv-tools" },
      element("label", {}, say("opacity"), cover),
      ...(head.labels.length > 1 ? [element("label", {}, all, say("all_labels"))] : [])),
    element("ul", {}, ...[...names].map(([n, name]) => {
      const box = element("input", { type: "checkbox", checked: true, onchange: () => { toggle(n, box.checked); draw(); } });
      boxes.set(n, box);
      const go = element("button", { type: "button", class: "wbv-icon", title: say("go_to", { name }),
        "aria-label": say("go_to", { name }), onclick: () => {
          const place = labels && centreOf(n);
          if (place) goTo(place);
        } }, icon("M8 1v4M8 11v4M1 8h4M11 8h4M8 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8"));
      return element("li", {}, element("label", { title: name }, box, swatch(n), element("span", {}, name)), go);
    })));

  const sliders = head.frames.map(({ name, places }, k) => {
    const told = element("span", { class: "wbv-told" });
    const title = words[name] ?? name;
    const slider = element("input", { type: "range", min: 0, max: places.length - 1, value: 0,
      "aria-label": title, disabled: places.length === 1, oninput: () => { spell(); ask(); } });
    const spell = () => {
      const i = slider.valueAsNumber;
      told.textContent = `${i + 1}/${places.length}${places[i] ? ` (${places[i]})` : ""}`;
      slider.setAttribute("aria-valuetext", told.textContent);
    };
    spell();
    return { slider, count: places.length, box: element("label", { class: "wbv-frame" }, title, slider, told), k };
  });

  const solid = element("button", { type: "button", "aria-pressed": "false", onclick: () => openSolid() }, say("three_d"));
  function openSolid() {
    const open = solid.getAttribute("aria-pressed") !== "true";
    const context = open && document.createElement("canvas").getContext("webgl2");
    if (open && !context) {
      solid.disabled = true;
      note(say("no_webgl"));
      return;
    }
    context?.getExtension?.("WEBGL_lose_context")?.loseContext();
    model.send({ ask: "three_d", open });
  }

  const readout = element("div", { class: "wbv-readout", role: "status" });
  const notes = element("div", { class: "wbv-notes", role: "status" });
  const said = new Set();
  const note = (text, key = text) => {
    if (said.has(key)) return;
    said.add(key);
    notes.append(element("p", {}, text));
  };
  const waiting = element("p", { class: "wbv-waiting", role: "status" }, say("waiting"));

  const root = element("section", {
    class: "wbv", lang: head.language, "aria-label": say("name"),
  },
    element("div", { class: "wbv-tools" },
      element("label", {}, say("window"), presets),
      element("label", {}, say("level"), level), element("label", {}, say("width"), breadth),
      ...(head.units ? [element("span", { class: "wbv-units" }, head.units)] : []),
      element("label", {}, invert, say("invert")), solid,
      element("span", { class: "wbv-warning" }, say("not_clinical"))),
    ...sliders.map((s) => s.box), waiting,
    element("div", { class: "wbv-panes" }, ...panes.map((pane) => pane.box)), readout,
    ...(head.labels.length ? [legend] : []), notes, element("p", { class: "wbv-help" }, say("help")));
  el.append(root);
  const thinned = head.source.filter((s) => s.step > 1).map((s) => `${s.name} 1/${s.step}`).sort();
  if (head.overlap) note(say("overlap"));
  if (thinned.length) note(say("thinned", { steps: thinned.join(", "), largest: head.largest }));

  // ---- Frames: asked of the kernel one at a time

  function ask() {
    wanted.number = sliders.reduce((sum, s) => sum * s.count + s.slider.valueAsNumber, 0);
    if (kept.has(wanted.number)) return show(wanted.number);
    if (wanted.asked >= 0) return;
    wanted.asked = wanted.number;
    model.send({ ask: "frame", frame: wanted.number, labels: head.labels.length > 0 && !labels });
  }

  function show(n) {
    frame = kept.get(n);
    waiting.hidden = true;
    root.dataset.frame = n;
    makeGrey();
    draw();
  }

  function hear(content, buffers) {
    if (content.told === "three_d") {
      solid.setAttribute("aria-pressed", content.open);
      if (content.text) note(`${say("no_three_d")} (${content.text})`);
    }
    if (content.told === "failed") {
      wanted.asked = -1;
      note(`${say("failed")} ${content.text}`);
    }
    if (content.told !== "frame") return;
    const { type, slope, intercept } = content;
    kept.set(content.frame, { voxels: typed(buffers[0], type), type, slope, intercept });
    const bytes = kept.get(content.frame).voxels.byteLength;
    while (kept.size > 1 && kept.size * bytes > KEPT) kept.delete(kept.keys().next().value);
    if (content.labels) labels = typed(buffers[1], content.labels);
    wanted.asked = -1;
    if (content.frame === wanted.number) show(content.frame);
    else ask();
  }

  model.on("msg:custom", hear);
  setWindow(centre, width, head.window);
  const watch = new ResizeObserver(() => arrange());
  watch.observe(root);
  ask();
  if (head.three_d) openSolid();
  return () => { watch.disconnect(); model.off("msg:custom", hear); };
}

export default { render };
