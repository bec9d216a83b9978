// What tests/test_browser.py asks of a page beyond what Playwright tells: colours as painted, and what has the focus.
window.eyes = (() => {
  // Colours come in many notations; painted on a canvas they are all red, green, blue and alpha.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const painted = new Map();
  function rgba(colour) {
    if (!painted.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      painted.set(colour, [red, green, blue, alpha / 255]);
    }
    return painted.get(colour);
  }
  const over = ([r, g, b, a], [R, G, B]) => [[r, R], [g, G], [b, B]].map(([top, below]) => a * top + (1 - a) * below);

  // As WCAG 2 defines it.
  function luminance(colour) {
    const [r, g, b] = colour.map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function contrast(one, other) {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  }

  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  function faint(least) {
    const behind = new Map([[null, [255, 255, 255]]]);
    function background(element) {
      if (!behind.has(element)) {
        behind.set(element, over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement)));
      }
      return behind.get(element);
    }
    const found = new Map();
    function judge(element, style, text) {
      const colour = element instanceof SVGElement ? style.fill : style.color;
      const ratio = contrast(over(rgba(colour), background(element)), background(element));
      const kind = `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""} ${colour}`;
      if (ratio < least && !found.has(kind)) found.set(kind, `${ratio.toFixed(2)} ${kind}: ${text.trim().slice(0, 40)}`);
    }
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (texts.nextNode()) {
      const { parentElement, data } = texts.currentNode;
      if (!data.trim() || parentElement.closest("script, style, noscript, option, .chart:not([data-drawn])") || !visible(parentElement)) continue;
      judge(parentElement, getComputedStyle(parentElement), data);
      seen += 1;
    }
    for (const input of document.querySelectorAll("[placeholder]")) judge(input, getComputedStyle(input, "::placeholder"), input.placeholder);
    return { seen, faint: [...found.values()] };
  }

  // What is chosen where `facet` is one of the choices, and what that shows.
  function choice(facet) {
    const chooser = facet.closest(".choosers");
    const fields = [...chooser.querySelectorAll("[data-facet]")];
    const views = [...document.querySelectorAll(`[data-view="${chooser.dataset.chooser}"]`)];
    return {
      chosen: Object.fromEntries(fields.map((field) => [field.dataset.facet, field.querySelector(":checked").value])),
      shown: views.filter(visible).map((view) => ({ facets: JSON.parse(view.dataset.facets), text: view.textContent })),
      width: document.documentElement.scrollWidth,
    };
  }

  // In the order of Tab, which is that of the page: of a group of radio buttons only the chosen one.
  function stops() {
    const all = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')];
    return all.filter((element) => element.checkVisibility() && (element.type !== "radio" || element.checked));
  }
  const name = (element) => `${element.tagName.toLowerCase()} ${element.ariaLabel ?? (element.textContent.trim() || element.id)}`.slice(0, 60);
  function focus() {
    const element = document.activeElement;
    // A radio button itself is not seen, but the label around it.
    const shown = [element, ...(element.labels ? [...element.labels].flatMap((label) => [...label.children]) : [])].filter(visible);
    const outlined = shown.some((each) => {
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(each);
      const behind = rgba(getComputedStyle(document.body).backgroundColor);
      return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && contrast(rgba(outlineColor).slice(0, 3), behind.slice(0, 3)) >= 3;
    });
    const box = element.getBoundingClientRect();
    const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    return { stop: stops().indexOf(element), name: name(element), outlined, inside };
  }
  return { choice, faint, focus, stops: () => stops().map(name) };
})();
