// What is live in the pages: the list comes anew every few seconds, a run's events as they happen. Without this file everything
// else works the same, and a page is loaded again by hand or by itself.
"use strict";
(() => {
  // Where somebody is with the keyboard, to be found again in what took its place.
  const place = (e) => {
    if (e.id) return `#${CSS.escape(e.id)}`;
    if (e.tagName === "SUMMARY" && e.parentElement.id) return `#${CSS.escape(e.parentElement.id)} > summary`;
    return e.tagName === "A" ? `a[href="${CSS.escape(e.getAttribute("href"))}"]` : "";
  };
  const take = async (ids) => {
    if (!getSelection().isCollapsed) return; // somebody is copying something
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ids) {
      const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
      if (!old || !now || old.innerHTML === now.innerHTML) continue;
      const folds = [...old.querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
      const at = old.contains(document.activeElement) ? place(document.activeElement) : "";
      old.replaceWith(document.importNode(now, true));
      for (const [name, open] of folds) document.getElementById(name)?.toggleAttribute("open", open);
      if (at) document.querySelector(at)?.focus({ preventScroll: true });
    }
  };

  if (document.querySelector("#found[data-refresh]")) {
    // What came last may say that there is nothing to wait for: a page that nobody looks at sets off no look over a cluster.
    setInterval(() => document.hidden || !document.querySelector("#found[data-refresh]") || take(["found"]).catch(() => {}), 5000);
  }

  const told = document.getElementById("told");
  const status = document.getElementById("status");
  const tell = (at, stage, text) => {
    const line = document.createElement("li");
    const parts = ["time", "b", "span"].map((name) => document.createElement(name));
    parts[0].dateTime = at || "";
    [(at || "").slice(11, 19), stage, text].forEach((words, n) => (parts[n].textContent = words));
    line.append(parts[0], " ", parts[1], " ", parts[2]);
    told.append(line);
    status.textContent = text;
  };

  // An answer that is being worked on. Each stream tells it from the beginning; another process may be the one that works on it.
  const going = document.querySelector("#going[data-chat]");
  if (going) {
    const stream = new EventSource(`/v1/chat/${going.dataset.chat}`);
    const over = () => (stream.close(), location.reload());
    stream.addEventListener("session", () => told.replaceChildren());
    stream.addEventListener("step", (event) => {
      const said = JSON.parse(event.data);
      tell(said.at, said.stage, said.text);
    });
    stream.addEventListener("answer", over);
    stream.onerror = () => stream.readyState === EventSource.CLOSED && setTimeout(over, 3000);
    stream.addEventListener("error", (event) => event.data && over());
    return;
  }

  const head = document.querySelector("#head[data-live='yes']");
  if (!head) return;
  let seen = Number(head.dataset.after);
  let soon = 0;
  const parts = ["head", "found"];
  const refresh = () => {
    clearTimeout(soon);
    soon = setTimeout(() => take(parts).catch(() => {}), 250);
  };
  setInterval(() => document.hidden || refresh(), 5000); // people's answers are no events of the run
  const stream = new EventSource(`/runs/${head.dataset.run}/live?after=${seen}`);
  stream.addEventListener("told", (event) => {
    const number = Number(event.lastEventId);
    if (number <= seen) return;
    seen = number;
    const said = JSON.parse(event.data);
    tell(said.at, said.stage, said.text);
    refresh();
  });
  stream.addEventListener("ended", () => {
    stream.close();
    clearTimeout(soon);
    location.reload();
  });
})();
