(() => {
  const site = document.getElementById("site");
  const language = document.getElementById("language");
  const words = JSON.parse(document.getElementById("words").textContent);
  const own = site.value;
  const places = ["top", "answers", "end"];
  const wanted = () => ["top", site.value, "end"].map((part) => `${language.value}-${part}`);
  let standing = wanted();
  const drawn = {};
  places.forEach((place, at) => { drawn[standing[at]] = document.getElementById(place).innerHTML; });
  const text = async (id) => {
    const found = document.getElementById(`v-${id}`);
    if (!found) return "";
    const bytes = Uint8Array.from(atob(found.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream("deflate-raw"))).text();
  };
  let turn = 0;
  const show = async () => {
    const mine = ++turn;
    const { address } = site.selectedOptions[0]?.dataset ?? {};
    if (address) {  // a file of its own
      location.assign(`${address}#${new URLSearchParams({ language: name(language) })}`);
      return;
    }
    const said = words[language.value];
    const ids = wanted();
    for (const id of ids) drawn[id] ??= await text(id);
    if (mine !== turn) return;
    places.forEach((place, at) => {
      if (ids[at] !== standing[at]) document.getElementById(place).innerHTML = drawn[ids[at]];
    });
    standing = ids;
    document.getElementById("choices").setAttribute("aria-label", said.choice);
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
    if (!pick(site, asked.get("site"))) site.value = own;
    return true;
  };
  const name = (select) => select.selectedOptions[0]?.dataset.name ?? "";
  const chosen = () => {
    const asked = new URLSearchParams({ language: name(language) });
    if (name(site)) asked.set("site", name(site));
    if (!site.selectedOptions[0]?.dataset.address) history.replaceState(null, "", `#${asked}`);
    show().catch(fail);
  };
  const fail = () => { document.getElementById("old").hidden = false; };
  for (const select of [site, language]) {
    select.disabled = false;
    select.addEventListener("change", chosen);
  }
  addEventListener("hashchange", () => read() && show().catch(fail));
  // Back from a site's own file, the choice is again what stands here.
  addEventListener("pageshow", (event) => { if (event.persisted) site.value = own; });
  if (!read()) {
    const known = (navigator.languages ?? []).map((tag) => tag.slice(0, 2));
    known.find((code) => pick(language, code));
  }
  if (wanted().every((id) => id in drawn)) return;
  show().catch(fail);
})();
