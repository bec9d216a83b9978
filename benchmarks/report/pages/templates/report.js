"use strict";
(() => {
  const charts = [...document.querySelectorAll(".chart")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let figures = {};
  const printing = matchMedia("print");

  // Charts: drawn when they come near the screen, coloured like the page.
  const axis = (colours, given = {}) => ({
    gridcolor: colours.grid, zerolinecolor: colours.soft, linecolor: colours.soft, tickfont: { size: 11 },
    automargin: false, fixedrange: true, ...given, title: { ...given.title, font: { size: 11 } },
  });
  function themed(layout) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const colours = { grid: colour("grid"), soft: colour("soft") };
    const axes = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => /^[xy]axis\d+$/.test(name))]);
    return {
      ...layout,
      autosize: true, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("ink") },
      hoverlabel: { bgcolor: colour("page"), bordercolor: colours.soft, font: { color: colour("ink") }, align: "left" },
      ...Object.fromEntries([...axes].map((name) => [name, axis(colours, layout[name])])),
    };
  }
  function draw(chart) {
    if (chart.offsetParent === null) return; // hidden: drawn when its view is shown
    const figure = figures[chart.dataset.figure];
    const options = { displayModeBar: false, responsive: true, scrollZoom: false };
    Plotly.react(chart, figure.data, themed(figure.layout), options);
    chart.dataset.drawn = "";
    // The chart has a name; what plotly puts into the page has none.
    document.querySelectorAll("#js-plotly-tester").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
    chart.querySelectorAll("svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
  }
  // What is large lies in the page compressed.
  async function unpack(id) {
    const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }
  async function prepare() {
    figures = JSON.parse(await unpack("figures"));
    const script = document.createElement("script");
    script.textContent = await unpack("plotly");
    document.head.append(script);
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting && !("drawn" in entry.target.dataset)) draw(entry.target);
    }, { rootMargin: "600px" });
    charts.forEach((chart) => observer.observe(chart));
    addEventListener("beforeprint", () => charts.forEach(draw));
  }
  if (charts.length) {
    prepare().catch((error) => {
      charts.forEach((chart) => { chart.textContent = `The chart cannot be drawn (${error.message}): it needs a browser of 2023 or later.`; });
    });
  }
  const redraw = () => charts.filter((chart) => "drawn" in chart.dataset).forEach(draw);
  dark.addEventListener("change", redraw);
  printing.addEventListener("change", redraw);

  // Folds: a link to what is folded opens it; on paper, where nothing opens, all are.
  const folds = [...document.querySelectorAll("details.fold")];
  const unfold = () => folds.forEach((fold) => { fold.open = true; });
  const reach = (hash) => {
    const target = hash.length > 1 && document.getElementById(decodeURIComponent(hash.slice(1)));
    const fold = target && (target.closest("details") ?? target.querySelector("details"));
    if (fold) { fold.open = true; target.scrollIntoView(); }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (link) reach(link.hash);
  });
  addEventListener("hashchange", () => reach(location.hash));
  reach(location.hash);
  addEventListener("beforeprint", unfold);
  printing.addEventListener("change", () => printing.matches && unfold());
  const all = document.getElementById("unfold");
  if (all) {
    all.hidden = false;
    all.addEventListener("click", () => {
      const open = folds.some((fold) => !fold.open);
      folds.forEach((fold) => { fold.open = open; });
      all.textContent = open ? "Close all" : "Open all";
    });
  }

  // Views: one of several tables or boards at a time.
  // Of several choices, the one just made holds; where nothing shows all of them, the others give way.
  document.querySelectorAll(".choosers").forEach((chooser) => {
    const views = [...document.querySelectorAll(`[data-view="${chooser.dataset.chooser}"]`)]
      .map((view) => [view, JSON.parse(view.dataset.facets)]);
    const facets = [...chooser.querySelectorAll("[data-facet]")].map((field) => field.dataset.facet);
    const field = (facet) => chooser.querySelector(`[data-facet="${CSS.escape(facet)}"]`);
    const show = (latest) => {
      const chosen = Object.fromEntries(facets.map((facet) => [facet, field(facet).querySelector(":checked").value]));
      const score = ([, shown]) => facets.filter((facet) => shown[facet] === chosen[facet])
        .reduce((sum, facet) => sum + (facet === latest ? facets.length : 1), 0);
      const best = views.reduce((a, b) => (score(b) > score(a) ? b : a));
      views.forEach(([view]) => {
        view.hidden = view !== best[0];
        // Until it is shown again, the width of the window and the colours may change.
        if (view.hidden) view.querySelectorAll(".chart").forEach((chart) => { delete chart.dataset.drawn; });
      });
      for (const facet of facets) {
        for (const choice of field(facet).querySelectorAll("input, option")) {
          choice[choice.tagName === "OPTION" ? "selected" : "checked"] = choice.value === best[1][facet];
        }
      }
    };
    chooser.addEventListener("change", (event) => show(event.target.closest("[data-facet]").dataset.facet));
    show(""); // a reloaded page may remember another choice
  });

  // Tips: on hover, and on tap where nothing hovers.
  const tip = document.getElementById("tip");
  function place(cell) {
    const table = cell.closest(".heat");
    if (!table) return "";
    const [sizes, names] = [...table.tHead.rows].map((row) => [...row.cells].map((heading) => heading.textContent.trim()));
    const column = cell.cellIndex - 1;
    const size = sizes[1 + Math.floor(column / (names.length / (sizes.length - 1)))];
    return `${names[column]}: ${cell.parentNode.cells[0].textContent}, ${size} elements\n`;
  }
  function point(event) {
    const cell = event.target.closest?.("[data-tip]");
    tip.hidden = !cell;
    if (!cell) return;
    tip.textContent = place(cell) + cell.dataset.tip;
    const box = cell.getBoundingClientRect();
    const left = Math.min(Math.max(12, box.left), innerWidth - tip.offsetWidth - 12);
    const below = box.bottom + 6;
    const top = below + tip.offsetHeight < innerHeight ? below : box.top - tip.offsetHeight - 6;
    Object.assign(tip.style, { left: `${left}px`, top: `${top}px` });
  }
  document.addEventListener("pointerover", point);
  document.addEventListener("click", point);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // Sorting: numbers by value, texts by letter, what is missing last.
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  document.querySelectorAll("table.sortable").forEach((table) => {
    const headings = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    headings.forEach((heading, column) => {
      const numeric = heading.classList.contains("n");
      const value = (row) => {
        const cell = row.cells[column];
        if (!numeric) return cell.textContent || null;
        return "sort" in cell.dataset ? Number(cell.dataset.sort.replace("inf", "Infinity")) : null;
      };
      heading.querySelector("button").addEventListener("click", () => {
        const direction = heading.ariaSort === "ascending" ? -1 : 1;
        headings.forEach((other) => { other.ariaSort = "none"; });
        heading.ariaSort = direction === 1 ? "ascending" : "descending";
        const rows = [...body.rows].map((row) => [value(row), row]);
        rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : direction * compare(a, b)));
        body.append(...rows.map(([, row]) => row));
      });
    });
  });

  // Every table as a file: a single number as such, in seconds or bytes; intervals and remarks as they read.
  // A text that a spreadsheet would take for a formula comes after a '.
  const harmless = (text) => (/^'*[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const several = /\d *\D?–| to |!/;
  const plain = (cell) => {
    const text = cell.innerText.trim();
    return "sort" in cell.dataset && !several.test(text) ? cell.dataset.sort : text;
  };
  function headings(table) {
    const rows = [...table.tHead.rows].map((row) => [...row.cells]);
    const names = rows.at(-1).map((cell) => (cell.querySelector("button") ?? cell).textContent.trim());
    if (rows.length === 1) return names;
    const [corner, ...groups] = rows[0]; // the map: sizes over contestants
    return [corner.innerText, ...groups.flatMap((group) => names.splice(0, group.colSpan).map((name) => `${group.innerText.trim()} ${name}`))];
  }
  document.querySelectorAll(".scroll > table").forEach((table) => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "csv", textContent: "CSV" });
    const title = table.caption.textContent.trim();
    button.title = "times in seconds, sizes in bytes";
    button.setAttribute("aria-label", `Download as CSV: ${title}`);
    button.addEventListener("click", () => {
      const lines = [headings(table), ...[...table.tBodies].flatMap((body) => [...body.rows]).map((row) => [...row.cells].map(plain))];
      const text = lines.map((line) => line.map(harmless).map(quoted).join(",") + "\n").join("");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.download = `${title.split(/[;,]/)[0].toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    table.caption.firstElementChild.append(" ", button);
  });

  // The filter: rows that hold every word.
  const filter = document.getElementById("filter");
  if (filter) {
    const rows = [...document.getElementById("all").tBodies[0].rows];
    const matches = document.getElementById("matches");
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      });
      matches.textContent = `${shown} of ${rows.length} rows`;
    };
    filter.addEventListener("input", apply);
    apply();
  }
})();
