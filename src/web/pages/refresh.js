// Refreshes the live parts of a page in place: scroll, focus, selection and open details stay as they are.
(() => {
  "use strict";
  const EVERY_MS = 10000;
  const KEY = "timpush-refresh";
  const place = document.getElementById("refresh");
  const button = document.createElement("button");
  const note = document.createElement("span");
  note.setAttribute("role", "status");
  note.className = "dim";
  button.type = "button";
  place.append(button, note);

  let isOn = true;
  try { isOn = sessionStorage.getItem(KEY) !== "off"; } catch { /* no storage: on at each visit */ }
  let timer = 0;

  const FOCUSABLE = "a, button, summary, [tabindex]";

  function replace(part, fresh) {
    if (part.innerHTML === fresh.innerHTML) return;
    const open = [...part.querySelectorAll("details")].map((details) => details.open);
    const focused = [...part.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
    const target = focused < 0 ? null : document.activeElement.getAttribute("href");
    part.className = fresh.className;
    part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll("details").forEach((details, at) => { if (at < open.length) details.open = open[at]; });
    if (focused < 0) return;
    const all = [...part.querySelectorAll(FOCUSABLE)];
    const same = all.find((one) => target !== null && one.getAttribute("href") === target) ?? all[focused];
    same?.focus({ preventScroll: true });
  }

  async function refresh() {
    const selection = getSelection();
    if (document.hidden || (selection && !selection.isCollapsed)) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const [x, y] = [scrollX, scrollY];
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh) replace(part, fresh);
      }
      scrollTo(x, y);
      note.textContent = "";
    } catch {
      note.textContent = "No answer: this page is getting old.";
    }
  }

  function show() {
    button.textContent = isOn ? "Refreshing" : "Refresh";
    button.setAttribute("aria-pressed", String(isOn));
    button.title = isOn ? "Refreshes every 10 s; press to stop" : "Press to refresh every 10 s";
    clearInterval(timer);
    if (isOn) timer = setInterval(refresh, EVERY_MS);
  }

  button.addEventListener("click", () => {
    isOn = !isOn;
    try { sessionStorage.setItem(KEY, isOn ? "on" : "off"); } catch { /* it holds for this page */ }
    show();
    if (isOn) refresh();
  });
  document.addEventListener("visibilitychange", () => { if (isOn && !document.hidden) refresh(); });
  show();
})();
