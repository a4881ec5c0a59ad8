// Light or dark, the reader's language, files of figures, and what a print says. The page reads without this.
(() => {
  const root = document.documentElement;
  const page = root.classList;
  if (page.contains("wb-js")) return;
  page.add("wb-js");

  // Light or dark: the reader's choice, else the system's. Nothing is kept where that is refused.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const keep = (value) => { try { localStorage.setItem("wb-theme", value); } catch { /* not kept */ } };
  const kept = () => { try { return localStorage.getItem("wb-theme"); } catch { return null; } };
  const isDark = () => (root.dataset.wbTheme ?? (dark.matches ? "dark" : "light")) === "dark";
  const mark = () => {
    for (const one of document.querySelectorAll(".wb-theme")) {
      if (one.getAttribute("aria-pressed") !== String(isDark())) one.setAttribute("aria-pressed", isDark());
    }
  };
  if (["light", "dark"].includes(kept())) root.dataset.wbTheme = kept();
  dark.addEventListener("change", mark);
  new MutationObserver(mark).observe(root, { childList: true, subtree: true });
  mark();

  // The reader's language, chosen once, when the choice is connected.
  const offered = document.querySelector("[data-wb-languages]");
  if (offered) {
    const names = JSON.parse(offered.dataset.wbLanguages);
    const known = (navigator.languages ?? []).map((tag) => tag.slice(0, 2));
    const name = names[known.find((code) => code in names)];
    const choose = () => {
      for (const select of document.querySelectorAll("select")) {
        const place = [...select.options].findIndex((option) => option.text === name);
        if (place < 0) continue;
        watch.disconnect();
        if (place === select.selectedIndex) return;
        select.selectedIndex = place;
        select.dispatchEvent(new Event("change", { bubbles: true }));
        return;
      }
    };
    const watch = new MutationObserver(choose);
    if (name) watch.observe(document.body, { childList: true, subtree: true });
  }

  // A figure as a file: what is drawn, on white, with its words, in its own colours.
  const picture = (button) => {
    const figure = button.closest("section").querySelector(".wb-figure");
    const drawn = figure.querySelector(".wb-wide svg") ?? figure.querySelector("svg");
    const copy = drawn.cloneNode(true);
    const [width, height] = ["width", "height"].map((side) => Number(drawn.getAttribute(side)));
    const make = (name, values) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
      return made;
    };
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
      keep(root.dataset.wbTheme);
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
