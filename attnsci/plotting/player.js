"use strict";
// Replays the scanpaths of the page's JSON over their images. Only what was measured is drawn:
// fixations, from their start on, and straight lines between them; never an eye on its way.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const canvas = element("canvas");
  const context = canvas.getContext("2d");
  const CHIPS = ["●", "■", "▲", "◆"];
  // Fixations farther from the frame than this part of its sides would make the image tiny.
  const REACH = 0.25;
  // With more labels than these the fixations' numbers would hide the picture.
  const NUMBERED = 5;
  // Replay of scanpaths without durations, in fixations a second.
  const PACE = 3;
  // Eccentricity in degrees at which acuity is half of the fovea's, and levels of resolution.
  const HALF_ACUITY_DEG = 2.3;
  const LEVELS = 5;
  // From so many pixels of the screen for one of the picture on, it is not smoothed.
  const PIXELATED = 8;

  const state = {
    image: 0, t: 0, playing: false, speed: 1,
    shown: new Set(data.observers.keys()), foveate: data.foveate, follow: null,
  };
  const pictures = new Map();
  let end = 0;
  let last = null;
  let frame = 0;

  const current = () => data.images[state.image];
  const colour = (who) => data.palette[who % data.palette.length];
  const shape = (who) => Math.floor(who / data.palette.length) % CHIPS.length;
  const visible = () => current().scanpaths.filter((path) => state.shown.has(path.who));

  // --- time ---------------------------------------------------------------------------------

  for (const image of data.images) {
    for (const path of image.scanpaths) {
      const n = path.x.length;
      if (data.unit === "fixation") {
        path.start = [...Array(n).keys()];
        path.end = n;
      } else {
        if (!path.start) {
          let sum = 0;
          path.start = path.duration.map((seconds) => (sum += seconds) - seconds);
        }
        path.end = n ? path.start[n - 1] + path.duration[n - 1] : 0;
      }
    }
  }

  // The fixation of that moment; -1 before the first, and n once the last is over.
  function fixationAt(path, t) {
    if (t >= path.end) return path.x.length;
    let low = 0;
    let high = path.start.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (path.start[middle] <= t) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  function step(direction) {
    const tiny = 1e-9;
    let next = direction > 0 ? end : 0;
    for (const start of visible().flatMap((path) => path.start)) {
      if (direction > 0 && start > state.t + tiny) next = Math.min(next, start);
      if (direction < 0 && start < state.t - tiny) next = Math.max(next, start);
    }
    state.playing = false;
    seek(next);
  }

  function seek(t) {
    state.t = Math.min(Math.max(t, 0), end);
    refresh();
  }

  function play(on) {
    if (on && state.t >= end) state.t = 0;
    state.playing = on;
    last = null;
    cancelAnimationFrame(frame);
    if (on) frame = requestAnimationFrame(tick);
    refresh();
  }

  function tick(now) {
    if (!state.playing) return;
    if (last !== null) {
      const rate = data.unit === "s" ? 1 : PACE;
      state.t += ((now - last) / 1000) * state.speed * rate;
    }
    last = now;
    if (state.t >= end) {
      state.t = end;
      state.playing = false;
    } else {
      frame = requestAnimationFrame(tick);
    }
    refresh();
  }

  // --- picture ------------------------------------------------------------------------------

  // A picture with its levels of resolution, each half of the one before.
  function pictureOf(image) {
    if (!image.src) return null;
    if (!pictures.has(image.name)) {
      const entry = { levels: null };
      pictures.set(image.name, entry);
      const source = new Image();
      source.onload = () => {
        entry.levels = [source];
        let { naturalWidth: width, naturalHeight: height } = source;
        for (let level = 1; level < LEVELS; level++) {
          const smaller = document.createElement("canvas");
          width = smaller.width = Math.max(1, Math.round(width / 2));
          height = smaller.height = Math.max(1, Math.round(height / 2));
          const onto = smaller.getContext("2d");
          onto.imageSmoothingQuality = "high";
          onto.drawImage(entry.levels[level - 1], 0, 0, width, height);
          entry.levels.push(smaller);
        }
        refresh();
      };
      source.onerror = () => { element("notes").textContent = "The browser cannot show this image."; };
      source.src = image.src;
    }
    return pictures.get(image.name);
  }

  // Degrees where they are known; else the image's width counts as 30.
  const pxPerDeg = (image) => data.px_per_deg || image.width / 30;

  // In the manner of Geisler and Perry (1998): each level is seen where acuity, which falls as
  // 1 / (1 + eccentricity / 2.3°), still resolves it, and fades into the next coarser one.
  function drawFoveated(levels, image, x, y) {
    const layer = drawFoveated.layer || (drawFoveated.layer = document.createElement("canvas"));
    layer.width = canvas.width;
    layer.height = canvas.height;
    const onto = layer.getContext("2d");
    const reach = (level) => HALF_ACUITY_DEG * (2 ** level - 1) * pxPerDeg(image);
    const placed = context.getTransform();
    context.drawImage(levels[LEVELS - 1], 0, 0, image.width, image.height);
    for (let level = LEVELS - 2; level >= 0; level--) {
      onto.setTransform(1, 0, 0, 1, 0, 0);
      onto.clearRect(0, 0, layer.width, layer.height);
      onto.setTransform(placed);
      onto.globalCompositeOperation = "source-over";
      onto.drawImage(levels[level], 0, 0, image.width, image.height);
      const mask = onto.createRadialGradient(x, y, reach(level), x, y, reach(level + 1));
      mask.addColorStop(0, "#000f");
      mask.addColorStop(1, "#0000");
      onto.globalCompositeOperation = "destination-in";
      onto.fillStyle = mask;
      onto.fillRect(0, 0, image.width, image.height);
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.drawImage(layer, 0, 0);
      context.setTransform(placed);
    }
  }

  function followed() {
    const path = current().scanpaths.find((each) => each.who === state.follow);
    if (!path || !path.x.length) return null;
    const at = Math.min(Math.max(fixationAt(path, state.t), 0), path.x.length - 1);
    return [path.x[at], path.y[at]];
  }

  // --- scanpaths ----------------------------------------------------------------------------

  // What is shown of the plane: the frame, and fixations a little outside, with their squares.
  function viewOf(image) {
    const box = [0, 0, image.width, image.height];
    const half = Math.max(0, ...data.boxes_px) / 2;
    let far = 0;
    for (const path of image.scanpaths) {
      path.x.forEach((x, i) => {
        const y = path.y[i];
        const tooFar = x < -REACH * image.width || x > (1 + REACH) * image.width ||
          y < -REACH * image.height || y > (1 + REACH) * image.height;
        if (tooFar) {
          far += 1;
          return;
        }
        const border = 0.02 * image.width;
        if (x < half) box[0] = Math.min(box[0], x - half - border);
        if (y < half) box[1] = Math.min(box[1], y - half - border);
        if (x > image.width - half) box[2] = Math.max(box[2], x + half + border);
        if (y > image.height - half) box[3] = Math.max(box[3], y + half + border);
      });
    }
    return { left: box[0], top: box[1], width: box[2] - box[0], height: box[3] - box[1], far };
  }

  function marker(kind, x, y, radius) {
    context.beginPath();
    if (kind === 0) context.arc(x, y, radius, 0, 2 * Math.PI);
    else if (kind === 1) context.rect(x - 0.89 * radius, y - 0.89 * radius, 1.78 * radius, 1.78 * radius);
    else {
      // Of the circle's area, so that area is duration for all shapes.
      const corners = kind === 2 ? 3 : 4;
      const size = radius * (kind === 2 ? 1.555 : 1.253);
      for (let corner = 0; corner < corners; corner++) {
        const angle = (2 * Math.PI * corner) / corners - Math.PI / 2;
        context.lineTo(x + size * Math.cos(angle), y + size * Math.sin(angle));
      }
      context.closePath();
    }
  }

  function drawBoxes(path, at, px) {
    for (const side of data.boxes_px) {
      for (const [width, style] of [[4.5, "#fffb"], [2, colour(path.who)]]) {
        context.lineWidth = width * px;
        context.strokeStyle = style;
        context.strokeRect(path.x[at] - side / 2, path.y[at] - side / 2, side, side);
      }
    }
  }

  function drawPath(path, image, px) {
    const at = fixationAt(path, state.t);
    const seen = Math.min(at + 1, path.x.length);
    const size = 0.022 * Math.hypot(image.width, image.height);
    const radius = (i) => size * (path.duration ? Math.sqrt(path.duration[i]) : 0.5);
    context.lineJoin = "round";
    for (const [width, style] of [[3.5, "#fffb"], [1.8, colour(path.who)]]) {
      context.beginPath();
      for (let i = 0; i < seen; i++) context.lineTo(path.x[i], path.y[i]);
      context.lineWidth = width * px;
      context.strokeStyle = style;
      context.stroke();
    }
    if (at >= 0 && at < path.x.length) drawBoxes(path, at, px);
    for (let i = 0; i < seen; i++) {
      marker(shape(path.who), path.x[i], path.y[i], radius(i));
      context.globalAlpha = i === at ? 1 : 0.55;
      context.fillStyle = colour(path.who);
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = (i === at ? 5 : 1) * px;
      context.strokeStyle = i === at ? "#000" : "#fff";
      context.stroke();
      if (i === at) {
        context.lineWidth = 2.5 * px;
        context.strokeStyle = "#fff";
        context.stroke();
      }
    }
    if (at < 0 || at >= path.x.length) return null;
    return { who: path.who, at, x: path.x[at] + 1.3 * radius(at) + 4 * px, y: path.y[at] };
  }

  function drawLabel(label, px, numbered) {
    const text = data.observers[label.who] + (numbered ? ` · ${label.at + 1}` : "");
    context.font = `bold ${13 * px}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    context.lineWidth = 3.5 * px;
    context.strokeStyle = "#fff";
    context.strokeText(text, label.x, label.y);
    context.fillStyle = "#000";
    context.fillText(text, label.x, label.y);
  }

  function draw() {
    const image = current();
    const view = image.view || (image.view = viewOf(image));
    const density = window.devicePixelRatio || 1;
    canvas.style.aspectRatio = `${view.width} / ${view.height}`;
    canvas.style.maxWidth = `${(70 * view.width) / view.height}vh`;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * density));
    canvas.height = Math.max(1, Math.round((canvas.width * view.height) / view.width));
    const scale = canvas.width / view.width;
    context.setTransform(scale, 0, 0, scale, -view.left * scale, -view.top * scale);
    context.imageSmoothingQuality = "high";
    const picture = pictureOf(image);
    const gaze = state.foveate && picture ? followed() : null;
    context.fillStyle = "#dcdcdc";
    context.fillRect(0, 0, image.width, image.height);
    if (picture && picture.levels) {
      if (gaze) drawFoveated(picture.levels, image, ...gaze);
      else {
        // What is enlarged so far is shown as the pixels that it is.
        context.imageSmoothingEnabled = canvas.width < PIXELATED * picture.levels[0].naturalWidth;
        context.drawImage(picture.levels[0], 0, 0, image.width, image.height);
      }
    }
    const px = density / scale;
    const labels = visible().map((path) => drawPath(path, image, px)).filter(Boolean);
    for (const label of labels) drawLabel(label, px, labels.length <= NUMBERED);
    const notes = [];
    if (!image.src) notes.push("The image itself was not given: its frame is shown in grey.");
    if (view.far) notes.push(`Fixations farther outside: ${view.far}.`);
    if (data.unit === "fixation") {
      notes.push("Not all scanpaths have durations: time counts fixations, not seconds.");
    }
    element("notes").textContent = notes.join(" ");
    return !image.src || Boolean(picture && picture.levels);
  }

  // --- answer -------------------------------------------------------------------------------

  // Whose answer is told: of whom the view is, else of the first who is switched on.
  function answering() {
    const meant = (who) => state.foveate ? who === state.follow : state.shown.has(who);
    return current().scanpaths.find((path) => meant(path.who) && path.probability?.length);
  }

  // Show the classes at the present fixation, the last one staying; return what is shown.
  function tell() {
    const path = answering();
    element("answer").hidden = !path;
    if (!path) return null;
    const at = Math.min(Math.max(fixationAt(path, state.t), 0), path.probability.length - 1);
    const shares = path.probability[at];
    const answer = shares.indexOf(Math.max(...shares));
    const [verdict, mark, ending] = path.label === null ? ["", "", ""] : answer === path.label
      ? ["right", "✓", " ✓ right"] : ["wrong", "✗", ` ✗ wrong, is ${path.label}`];
    element("reads").textContent =
      `${data.observers[path.who]}, fixation ${at + 1}: reads ${answer}${ending}`;
    element("classes").replaceChildren(...shares.map((share, which) => {
      const row = document.createElement("tr");
      const cell = (kind, ...content) => {
        row.append(document.createElement(kind));
        row.lastChild.append(...content);
      };
      const bar = document.createElement("div");
      bar.style.width = `${100 * share}%`;
      cell("th", String(which));
      cell("td", bar);
      cell("td", share.toFixed(2));
      cell("td", (which === answer ? mark : "") + (which === path.label ? "◀" : ""));
      if (which === answer) row.className = `answer ${verdict}`;
      row.classList.toggle("true", which === path.label);
      return row;
    }));
    return { who: data.observers[path.who], fixation: at, answer, label: path.label, verdict };
  }

  // --- page ---------------------------------------------------------------------------------

  function clock() {
    if (data.unit === "s") return `${state.t.toFixed(2)} s of ${end.toFixed(2)} s`;
    if (state.t >= end) return `all ${end} fixations`;
    return `fixation ${Math.floor(state.t) + 1} of ${end}`;
  }

  // Redraw, and tell the page and its `body` (for scripts and tests) what is shown.
  function refresh() {
    const ready = draw();
    const told = tell();
    const image = current();
    const paths = visible();
    element("time").value = String(state.t);
    element("time").setAttribute("aria-valuetext", clock());
    element("clock").textContent = clock();
    element("play").textContent = state.playing ? "Pause" : "Play";
    element("foveate").checked = state.foveate;
    element("follow").disabled = !state.foveate;
    const degrees = data.px_per_deg ? "" : "; pixels per degree unknown, width taken as 30°";
    element("acuity").textContent = state.foveate
      ? `Resolution halves at ${HALF_ACUITY_DEG}° from fixation${degrees}.` : "";
    if (!state.playing) {
      canvas.setAttribute("aria-label",
        `${image.name}, ${clock()}, ${paths.length} of ${image.scanpaths.length} scanpaths shown`);
    }
    for (const box of element("list").querySelectorAll("input")) {
      box.checked = state.shown.has(Number(box.value));
    }
    Object.assign(document.body.dataset, {
      ready, image: image.name, time: state.t.toFixed(3), end: end.toFixed(3), unit: data.unit,
      playing: state.playing, speed: state.speed, foveated: Boolean(state.foveate && image.src && followed()),
      follow: state.follow === null ? "" : data.observers[state.follow],
      observers: JSON.stringify([...state.shown].sort((a, b) => a - b).map((i) => data.observers[i])),
      fixations: JSON.stringify(paths.map((path) => fixationAt(path, state.t))),
      answer: told ? JSON.stringify(told) : "",
    });
  }

  function choose(index) {
    state.image = index;
    const image = current();
    const present = new Set(image.scanpaths.map((path) => path.who));
    end = Math.max(...image.scanpaths.map((path) => path.end), 0);
    state.t = 0;
    state.playing = false;
    element("image").value = String(index);
    element("time").max = String(end);
    element("time").step = data.unit === "s" ? "any" : "1";
    for (const item of element("list").children) {
      const here = present.has(Number(item.dataset.who));
      item.className = here ? "" : "absent";
      item.querySelector("input").disabled = !here;
    }
    const follow = element("follow");
    follow.replaceChildren(...[...present].map((who) => new Option(data.observers[who], who)));
    if (!present.has(state.follow)) state.follow = present.size ? [...present][0] : null;
    follow.value = String(state.follow);
    refresh();
  }

  function show(some) {
    state.shown = new Set(some);
    refresh();
  }

  // A link may say what to show: #image=a.jpg&observer=1&observer=2&t=0.5&speed=2&foveate=1
  // &follow=1&play=1. Names that the page does not have are left out.
  function readLink() {
    const link = new URLSearchParams(window.location.hash.slice(1));
    const who = (name) => data.observers.indexOf(name);
    const image = data.images.findIndex((each) => each.name === link.get("image"));
    choose(image >= 0 ? image : state.image);
    if (link.has("observer")) {
      state.shown = new Set(link.getAll("observer").map(who).filter((index) => index >= 0));
    }
    if (link.has("foveate")) state.foveate = link.get("foveate") === "1";
    if (current().scanpaths.some((path) => path.who === who(link.get("follow")))) {
      state.follow = who(link.get("follow"));
      element("follow").value = String(state.follow);
    }
    const speed = [...element("speed").options].find((each) => each.value === link.get("speed"));
    if (speed) {
      element("speed").value = speed.value;
      state.speed = Number(speed.value);
    }
    const t = Number(link.get("t"));
    seek(Number.isFinite(t) ? t : 0);
    if (link.get("play") === "1") play(true);
  }

  element("image").append(...data.images.map((image, index) => new Option(image.name, index)));
  data.observers.forEach((name, who) => {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const box = document.createElement("input");
    const chip = document.createElement("span");
    box.type = "checkbox";
    box.value = String(who);
    chip.className = "chip";
    chip.textContent = CHIPS[shape(who)];
    chip.style.color = colour(who);
    chip.setAttribute("aria-hidden", "true");
    label.append(box, " ", chip, " ", name);
    item.dataset.who = String(who);
    item.append(label);
    element("list").append(item);
    box.addEventListener("change", () => {
      if (box.checked) state.shown.add(who);
      else state.shown.delete(who);
      refresh();
    });
  });
  element("all").addEventListener("click", () => show(data.observers.keys()));
  element("none").addEventListener("click", () => show([]));
  element("image").addEventListener("change", (event) => choose(Number(event.target.value)));
  element("play").addEventListener("click", () => play(!state.playing));
  element("time").addEventListener("input", (event) => {
    state.playing = false;
    seek(Number(event.target.value));
  });
  element("speed").addEventListener("change", (event) => {
    state.speed = Number(event.target.value);
    refresh();
  });
  element("foveate").addEventListener("change", (event) => {
    state.foveate = event.target.checked;
    refresh();
  });
  element("follow").addEventListener("change", (event) => {
    state.follow = Number(event.target.value);
    refresh();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    // A list takes the keys for itself; Space presses the button or box that has the focus.
    if (event.target.closest("select")) return;
    if (event.key === " " && event.target.closest("button, input[type=checkbox]")) return;
    const actions = {
      " ": () => play(!state.playing),
      ArrowRight: () => step(1),
      ArrowLeft: () => step(-1),
      Home: () => { state.playing = false; seek(0); },
      End: () => { state.playing = false; seek(end); },
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  window.addEventListener("resize", refresh);
  window.addEventListener("hashchange", readLink);
  readLink();
})();
