// Numbers and times as the reader's language writes them, and pages that stay true.
// Everything is readable without this file.
"use strict";
(() => {
  const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always", style: "short" });

  // Amounts have more digits than a number holds: newer browsers format the text itself.
  const number = (text, digits) => {
    const format = new Intl.NumberFormat(undefined, { minimumFractionDigits: digits, maximumFractionDigits: Math.max(digits, 0) });
    return text.length > 15 ? format.format(/** @type {any} */ (text)) : format.format(Number(text));
  };
  const agoText = (then) => {
    const s = Math.max(0, Math.round((Date.now() - then) / 1000));
    if (s < 90) return relative.format(-s, "second");
    if (s < 5400) return relative.format(-Math.round(s / 60), "minute");
    if (s < 129600) return relative.format(-Math.round(s / 3600), "hour");
    return relative.format(-Math.round(s / 86400), "day");
  };
  const ages = (root) => {
    for (const t of root.querySelectorAll("time.ago")) t.textContent = agoText(Date.parse(t.dateTime));
  };
  const localise = (root) => {
    for (const d of root.querySelectorAll("data.num")) d.textContent = number(d.value, Number(d.dataset.digits || 0));
    for (const t of root.querySelectorAll("time:not(.ago)")) t.textContent = moment.format(new Date(t.dateTime));
    ages(root);
  };
  localise(document);
  setInterval(() => ages(document), 1000);

  const main = document.querySelector("main");
  const lives = (main.dataset.live || "").split(" ").filter(Boolean);
  if (!lives.length || !window.EventSource) return;

  // A page that has changed is fetched again, and what differs takes its place. The
  // server has it ready: it is made once for all who look.
  let busy = false, again = false, last = "";
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-cache" });
      if (answer.ok) {
        const text = await answer.text();
        if (text !== last) {
          last = text;
          swap(new DOMParser().parseFromString(text, "text/html"));
        }
      }
    } catch { /* the node is away; the next event brings it back */ }
    busy = false;
    if (again) { again = false; setTimeout(refresh, 250); }
  };
  const swap = (page) => {
    const fresh = page.querySelector("main");
    if (!fresh) return;
    localise(fresh);
    ages(document);
    const old = [...main.children], now = [...fresh.children];
    if (old.length !== now.length) {
      main.replaceChildren(...now);
      return;
    }
    now.forEach((element, i) => {
      if (old[i].contains(document.activeElement) || old[i].isEqualNode(element)) return;
      const left = [...old[i].querySelectorAll(".strip")].map((s) => s.scrollLeft);
      const open = [...old[i].querySelectorAll("details")].map((d) => d.open);
      old[i].replaceWith(element);
      [...element.querySelectorAll(".strip")].forEach((s, n) => { s.scrollLeft = left[n] || 0; });
      [...element.querySelectorAll("details")].forEach((d, n) => { d.open = open[n] || false; });
      element.classList.add("fresh");
    });
  };

  // A page that nobody sees needs no events, and browsers allow few streams at once.
  let stream = null;
  const listen = () => {
    if (document.hidden) {
      if (stream) stream.close();
      stream = null;
      return;
    }
    if (stream) return;
    stream = new EventSource(document.body.dataset.events);
    for (const kind of lives) stream.addEventListener(kind, refresh);
    // A browser gives up on a stream that was refused, by a node that is full or by the proxy of
    // one that starts again.
    stream.addEventListener("error", () => {
      if (!stream || stream.readyState !== EventSource.CLOSED) return;
      stream = null;
      setTimeout(listen, 3000 + 7000 * Math.random());
    });
  };
  document.addEventListener("visibilitychange", listen);
  listen();
})();
