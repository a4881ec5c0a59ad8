// Light or dark, the reader's language, files of figures, and what a print says. The page reads without this.
(() => {
  const root = document.documentElement;
  const page = root.classList;
  if (page.contains("wb-js")) return;
  page.add("wb-js");

  // Light or dark: the reader's choice, else the system's. Nothing is kept where that is refused.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* not kept */ } };
  const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const isDark = () => (root.dataset.wbTheme ?? (dark.matches ? "dark" : "light")) === "dark";
  const mark = () => {
    for (const one of document.querySelectorAll(".wb-theme")) {
      if (one.getAttribute("aria-pressed") !== String(isDark())) one.setAttribute("aria-pressed", isDark());
    }
  };
  if (["light", "dark"].includes(kept("wb-theme"))) root.dataset.wbTheme = kept("wb-theme");
  dark.addEventListener("change", mark);

  // The tab and the document speak as the page does; a notebook keeps its own title.
  const tell = () => {
    if (!document.querySelector("#rendered_cells, main#page")) return;
    const title = document.querySelector(".wb h1");
    const lang = title?.closest("[lang]")?.lang;
    if (!lang) return;
    if (root.lang !== lang) root.lang = lang;
    if (document.title !== title.textContent) document.title = title.textContent;
  };
  // A page that came with its first question only asks for the others, once it is connected.
  const ask = () => {
    const button = document.querySelector(".wb-hears:not([data-wb-asked])");
    if (!button) return;
    button.dataset.wbAsked = "";
    button.click();
  };
  const look = () => { mark(); tell(); ask(); };
  new MutationObserver(look).observe(root, { childList: true, subtree: true });
  look();

  // The reader's language, chosen once, when the choice is connected: the one that the address names,
  // else the one that was chosen here before, else the browser's.
  const offered = document.querySelector("[data-wb-languages]");
  if (offered) {
    const names = JSON.parse(offered.dataset.wbLanguages);
    const asked = () => new URLSearchParams(location.hash.slice(1));
    const browser = (navigator.languages ?? []).map((tag) => tag.slice(0, 2));
    const known = [asked().get("language"), kept("wb-language"), ...browser];
    const name = names[known.find((code) => Object.hasOwn(names, code))];
    let choosing = false;
    document.addEventListener("change", (event) => {
      const said = event.target.selectedOptions?.[0]?.text;
      const code = Object.keys(names).find((each) => names[each] === said);
      if (!code || choosing) return;
      keep("wb-language", code);
      if (asked().has("language")) history.replaceState(null, "", `#language=${code}`);
    });
    const choose = () => {
      for (const select of document.querySelectorAll("select")) {
        const place = [...select.options].findIndex((option) => option.text === name);
        if (place < 0) continue;
        watch.disconnect();
        if (place === select.selectedIndex) return;
        select.selectedIndex = place;
        choosing = true;
        select.dispatchEvent(new Event("change", { bubbles: true }));
        choosing = false;
        return;
      }
    };
    const watch = new MutationObserver(choose);
    if (name) watch.observe(document.body, { childList: true, subtree: true });
  }

  // A figure as a file: what is drawn, on white, with its words, legend and caption, in its own colours.
  const FONT = "Liberation Sans, Arial, Helvetica, Noto Sans CJK SC, Noto Sans, sans-serif";
  const measure = document.createElement("canvas").getContext("2d");
  const lines = (words, room) => {
    measure.font = `13px ${FONT}`;
    const found = [""];
    // A CJK character, with the marks behind it, is a word of its own.
    for (const part of words.match(/[\u2e80-\uffef][\u3001-\u3011\uff01-\uff1f]*|[^\s\u2e80-\uffef]+\s*|\s+/g) ?? []) {
      const last = found.at(-1);
      if (last && measure.measureText((last + part).trimEnd()).width > room) found.push(part.trimStart());
      else found[found.length - 1] += part;
    }
    return found.map((line) => line.trim());
  };
  const picture = (button) => {
    const section = button.closest("section");
    const figure = section.querySelector(".wb-figure");
    const drawn = figure.querySelector(".wb-wide svg") ?? figure.querySelector("svg");
    const copy = drawn.cloneNode(true);
    const [width, drawnHeight] = ["width", "height"].map((side) => Number(drawn.getAttribute(side)));
    const make = (name, values) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
      return made;
    };
    const write = (words, x, y, values = {}) => {
      const text = make("text", { x, y, "font-family": FONT, "font-size": "13px", fill: "#1f2933", ...values });
      text.textContent = words;
      return text;
    };
    const [left, step] = [8, 19];
    let [x, y] = [left, drawnHeight + 28];
    const below = [];
    for (const item of section.querySelectorAll(".wb-legend li")) {
      const written = lines(item.querySelector("span").textContent, width - left - 40);
      const room = 32 + Math.max(...written.map((line) => measure.measureText(line).width)) + 22;
      if (x > left && x + room > width) [x, y] = [left, y + step];
      const sign = item.querySelector("svg").cloneNode(true);
      for (const [key, value] of [["x", x], ["y", y - 11]]) sign.setAttribute(key, value);
      sign.setAttribute("font-family", FONT);
      below.push(sign, ...written.map((line, i) => write(line, x + 32, y + step * i)));
      if (written.length > 1) [x, y] = [left, y + step * written.length];
      else x += room;
    }
    if (x > left) y += step;
    // Which study, which question, and whose numbers.
    const named = [document.querySelector(".wb h1"), section.querySelector("h2"), section.querySelector(".wb-scope")];
    const caption = named.filter(Boolean).map((one) => one.textContent).join(" · ");
    for (const line of lines(caption, width - 2 * left)) {
      below.push(write(line, left, y + 6, { fill: "#66727d" }));
      y += step;
    }
    const height = y;
    copy.append(...below);
    copy.setAttribute("height", height);
    copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
    copy.removeAttribute("aria-hidden");
    copy.setAttribute("role", "img");
    const title = make("title", {});
    title.textContent = figure.getAttribute("aria-label");
    copy.prepend(title, make("rect", { width: "100%", height: "100%", fill: "#fff" }));
    const text = new XMLSerializer().serializeToString(copy);
    return { address: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`, width, height };
  };
  const save = (address, name) => {
    const link = Object.assign(document.createElement("a"), { href: address, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  };
  const files = {
    svg: (drawn, name) => save(drawn.address, name),
    png: async (drawn, name) => {
      const image = new Image();
      image.src = drawn.address;
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), {
        width: 2 * drawn.width, height: 2 * drawn.height,
      });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      save(canvas.toDataURL("image/png"), name);
    },
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-wb-save], .wb-theme");
    if (!button) return;
    if (button.classList.contains("wb-theme")) {
      root.dataset.wbTheme = isDark() ? "light" : "dark";
      keep("wb-theme", root.dataset.wbTheme);
      mark();
      return;
    }
    const kind = button.dataset.wbSave;
    files[kind](picture(button), `${button.dataset.wbName}.${kind}`);
  });

  // A print says when and from where, without the token, and opens what is folded.
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("[data-wb-printed]")) {
      const { origin, pathname, protocol } = location;
      // A folder of the machine that prints is nobody's business.
      const place = protocol === "file:" ? pathname.split("/").pop() : origin + pathname;
      const day = new Date().toLocaleDateString(one.closest("[lang]")?.lang);
      one.textContent = one.dataset.wbPrinted.replace("[date]", day).replace("[place]", place);
    }
  });
})();
