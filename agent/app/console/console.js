// What is live in the pages: the list loads itself again while something goes on, a run's events come as they happen. Without this
// file everything else works the same, and a page is loaded again by hand or by itself.
"use strict";
(() => {
  const take = async (ids) => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ids) {
      const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
      if (!old || !now || old.innerHTML === now.innerHTML) continue;
      const open = [...old.querySelectorAll("details[open]")].map((one) => one.id);
      const at = old.contains(document.activeElement) ? document.activeElement.id : "";
      old.replaceWith(document.importNode(now, true));
      for (const name of open) document.getElementById(name)?.setAttribute("open", "");
      if (at) document.getElementById(at)?.focus();
    }
  };

  if (document.querySelector("#found[data-refresh]")) {
    setInterval(() => document.hidden || take(["found"]).catch(() => {}), 5000);
  }

  const head = document.querySelector("#head[data-live='yes']");
  if (!head) return;
  const told = document.getElementById("told");
  const status = document.getElementById("status");
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
    const line = document.createElement("li");
    const [time, stage, text] = ["time", "b", "span"].map((name) => document.createElement(name));
    time.dateTime = said.at;
    time.textContent = said.at.slice(11, 19);
    stage.textContent = said.stage;
    text.textContent = said.text;
    line.append(time, " ", stage, " ", text);
    told.append(line);
    status.textContent = said.text;
    refresh();
  });
  stream.addEventListener("ended", () => {
    stream.close();
    clearTimeout(soon);
    location.reload();
  });
})();
