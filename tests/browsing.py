"""A real browser for tests: headless Chromium, what a page must not do while it is looked at, and what everybody needs of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.servers import ROOT, program

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = Path(os.environ.get("LESTRADE_TEST_SCREENSHOTS") or ROOT / ".cache" / "screenshots")


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: Browser, *origins: str, **context: object) -> Iterator[Page]:
    """A new session. Whatever leaves these origins, or is complained about in the console (a breach of the content security
    policy is), fails the test."""
    opened = browser.new_context(**context)
    seen: list[str] = []
    page = opened.new_page()
    page.on("request", lambda request: None if request.url.startswith((*origins, "blob:", "data:")) else seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: seen.append(f"dialog {dialog.message}"))
    try:
        yield page
    finally:
        opened.close()
    assert seen == []


def shoot(page: Page, name: str) -> None:
    """Kept for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def faults(page: Page) -> list[str]:
    """What somebody who cannot see well, or has no mouse, would stumble over here."""
    found: list[str] = page.evaluate(_FAULTS)
    return found


_FAULTS = """() => {
  const faults = [];
  const say = (what, e) => faults.push(`${what}: ${e ? e.outerHTML.slice(0, 120) : ''}`);
  const named = e => (e.getAttribute('aria-label') || '').trim() || e.textContent.trim() || (e.labels && e.labels.length);
  if (!document.documentElement.lang) say('no language');
  if (!document.title.trim()) say('no title');
  if (document.querySelectorAll('main').length !== 1) say('not one main');
  if (document.querySelectorAll('h1').length !== 1) say('not one h1');
  let level = 0;
  for (const h of document.querySelectorAll('h1, h2, h3, h4')) {
    const now = Number(h.tagName[1]);
    if (now > level + 1 && level) say('a heading is left out', h);
    level = now;
  }
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!e.labels.length && !e.getAttribute('aria-label')) say('no label', e);
  for (const e of document.querySelectorAll('button, a[href], summary')) if (!named(e)) say('no name', e);
  for (const e of document.querySelectorAll('img')) if (!e.hasAttribute('alt')) say('no alt', e);
  for (const e of document.querySelectorAll('svg')) if (!e.getAttribute('aria-label')) say('a picture without words', e);
  for (const e of document.querySelectorAll('th')) if (!e.scope) say('a head of what', e);
  for (const e of document.querySelectorAll('[tabindex]')) if (e.tabIndex > 0) say('an order of its own', e);
  for (const e of document.querySelectorAll('script:not([src]), style')) say('inline', e);
  for (const e of document.querySelectorAll('[style]')) if (e.getAttribute('style')) say('inline', e);  // the driver adds ""
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of new Set(ids.filter((id, n) => ids.indexOf(id) !== n))) faults.push(`two have the id ${id}`);
  for (const e of document.querySelectorAll('[aria-labelledby]'))
    if (!document.getElementById(e.getAttribute('aria-labelledby'))) say('labelled by nothing', e);
  for (const e of document.querySelectorAll('main *')) {
    const scrolls = ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1;
    if (scrolls && e.tabIndex < 0) say('cannot be scrolled by keys', e);
  }
  const skip = document.querySelector('a[href="#main"]');
  if (!skip || skip !== document.querySelector('a, button, input')) say('the way past the navigation is not first', skip);
  const parse = text => (text.match(/[\\d.]+/g) || ['0', '0', '0', '0']).map(Number);
  const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      if (e instanceof SVGElement) {
        const box = e.parentElement && e.parentElement.querySelector(':scope > rect');
        if (box) return parse(getComputedStyle(box).fill);
        continue;
      }
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('body *')].filter(e =>
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length
    && !['SCRIPT', 'NOSCRIPT', 'TITLE', 'OPTION', 'METER'].includes(e.tagName.toUpperCase()) && !e.closest('.visually-hidden'));
  for (const e of texts) {
    const ink = parse(e instanceof SVGElement ? getComputedStyle(e).fill : getComputedStyle(e).color);
    const [most, least] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    const contrast = (most + 0.05) / (least + 0.05);
    if (contrast < 4.5) say(`contrast ${contrast.toFixed(2)}`, e);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) say('wider than the window');
  return faults;
}"""
