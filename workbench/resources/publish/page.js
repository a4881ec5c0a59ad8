(() => {
  const page = document.getElementById("page");
  const site = document.getElementById("site");
  const language = document.getElementById("language");
  const words = JSON.parse(document.getElementById("words").textContent);
  const drawn = { [`${language.value}-${site.value}`]: page.innerHTML };
  const text = async (id) => {
    const packed = atob(document.getElementById(`v-${id}`).textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream("deflate-raw"))).text();
  };
  let turn = 0;
  const show = async () => {
    const mine = ++turn;
    const id = `${language.value}-${site.value}`;
    const said = words[language.value];
    drawn[id] ??= await text(id);
    if (mine !== turn) return;
    page.innerHTML = drawn[id];
    document.documentElement.lang = language.value;
    document.title = said.title;
    for (const name of ["site", "language"]) {
      const label = document.querySelector(`label[for=${name}]`);
      if (label) label.textContent = said[name];
    }
    if (site.options.length) site.options[0].textContent = said.all;
  };
  const pick = (select, value) => {
    const found = [...select.options].find((option) => option.dataset.name === value);
    if (found) select.value = found.value;
    return Boolean(found);
  };
  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (!asked.has("language") && !asked.has("site")) return false;
    pick(language, asked.get("language"));
    if (!pick(site, asked.get("site") ?? "")) pick(site, "");
    return true;
  };
  const name = (select) => select.selectedOptions[0]?.dataset.name ?? "";
  const chosen = () => {
    const asked = new URLSearchParams({ language: name(language) });
    if (name(site)) asked.set("site", name(site));
    history.replaceState(null, "", `#${asked}`);
    show().catch(fail);
  };
  const fail = () => { document.getElementById("old").hidden = false; };
  for (const select of [site, language]) {
    select.disabled = false;
    select.addEventListener("change", chosen);
  }
  addEventListener("hashchange", () => read() && show().catch(fail));
  if (!read()) {
    const known = (navigator.languages ?? []).map((tag) => tag.slice(0, 2));
    known.find((code) => pick(language, code));
  }
  if (`${language.value}-${site.value}` in drawn) return;
  show().catch(fail);
})();
