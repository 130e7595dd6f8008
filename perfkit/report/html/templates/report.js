"use strict";
// Draws the charts. Colours are custom properties of the style sheet, so that a change of theme,
// or paper, needs no redrawing; all figures are written already, and every axis is linear here.
(() => {
  const root = document.documentElement;
  const colour = (name) => `var(--${name})`;
  const font = getComputedStyle(document.body).fontFamily;
  const text = { fontFamily: font, fontSize: 12, color: colour("ink-2") };
  const strong = { ...text, color: colour("ink") };
  const base = {
    animation: false,
    textStyle: text,
    stateAnimation: { duration: 0 },
  };

  // There is room for the labels already; ECharts need not look for it.
  const grid = { outerBoundsMode: "none" };

  const widthOf = (() => {
    const context = document.createElement("canvas").getContext("2d");
    return (words, size = 12) => {
      context.font = `${size}px ${font}`;
      return Math.max(0, ...words.map((word) => context.measureText(word).width));
    };
  })();

  // The values beside an axis: all of them, or every second, third, … where there is no room;
  // the first and the last always, as they say how far it reaches.
  const thinned = (ticks, room) => {
    const each = widthOf(ticks.map((tick) => tick.text)) + 14;
    const every = Math.max(1, Math.ceil((ticks.length * each) / Math.max(room, 1)));
    const last = ticks.length - 1;
    return ticks.filter((_, number) =>
      number === 0 || number === last || (number % every === 0 && number <= last - every));
  };

  const valueAxis = (axis, ticks, more = {}) => {
    const values = ticks.map((tick) => tick.place);
    const texts = new Map(ticks.map((tick) => [tick.place, tick.text]));
    return {
      type: "value",
      min: axis.low,
      max: axis.high,
      axisLabel: { ...text, customValues: values, formatter: (value) => texts.get(value) ?? "", hideOverlap: true },
      axisTick: { show: false, customValues: values },
      axisLine: { show: false },
      splitLine: { customValues: values, lineStyle: { color: colour("line") } },
      ...more,
    };
  };

  const nameAxis = (labels, width, more = {}) => ({
    type: "category",
    data: labels,
    inverse: true,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: colour("line-2") } },
    axisLabel: { ...strong, width, overflow: "truncate", interval: 0 },
    ...more,
  });

  const bars = (drawing, width) => {
    const names = Math.min(widthOf(drawing.labels) + 4, width * 0.3);
    const written = drawing.totals ?? drawing.series.flat().map((bar) => (bar ? bar.text : ""));
    const right = widthOf(written) + 14;
    const each = drawing.stacked ? 1 : drawing.series.length;
    const thick = each > 2 ? 13 : 17;
    const band = each * (thick + 3) + 16;
    const low = drawing.axis.low;
    const series = drawing.series.map((row, number) => ({
      type: "bar",
      stack: drawing.stacked ? "all" : undefined,
      barWidth: drawing.stacked ? 24 : thick,
      barGap: drawing.stacked ? undefined : "22%",
      silent: true,
      emphasis: { disabled: true },
      // On an axis that does not begin at zero, a bar is as long as its value is above the beginning.
      data: row.map((bar) => ({
        value: bar === null || bar.place === null ? (drawing.stacked ? 0 : low) : bar.place,
        itemStyle: bar === null ? {} : { color: colour(bar.colour), borderRadius: drawing.stacked ? 0 : [0, 2, 2, 0] },
        label: {
          show: bar !== null && !drawing.stacked,
          position: "right",
          distance: 6,
          formatter: bar === null ? "" : () => bar.text,
          ...strong,
        },
      })),
      label: drawing.stacked ? { show: false } : undefined,
      ...(drawing.stacked && number === drawing.series.length - 1
        ? { label: { show: true, position: "right", distance: 6, ...strong, fontWeight: 600, formatter: (item) => drawing.totals[item.dataIndex] } }
        : {}),
    }));
    if (drawing.stacked) {
      for (const row of series) for (const item of row.data) delete item.label;
    }
    const room = width - names - right;
    return {
      height: drawing.labels.length * band + 30,
      option: {
        ...base,
        grid: { left: names + 8, right, top: 4, bottom: 26, ...grid },
        xAxis: valueAxis(drawing.axis, thinned(drawing.axis.ticks, room)),
        yAxis: nameAxis(drawing.labels, names),
        series,
      },
    };
  };

  const waterfall = (drawing, width) => {
    const labels = drawing.spans.map((span) => span.label);
    const names = Math.min(widthOf(labels) + 4, width * 0.3);
    const right = widthOf(drawing.spans.map((span) => span.text)) + 14;
    const room = width - names - right;
    const ticks = drawing.axis.ticks.filter((tick) => tick.place <= drawing.axis.high);
    return {
      height: labels.length * 22 + 26,
      option: {
        ...base,
        grid: { left: names + 8, right, top: 2, bottom: 24, ...grid },
        xAxis: valueAxis(drawing.axis, thinned(ticks, room)),
        yAxis: nameAxis(labels, names),
        series: [
          { type: "bar", stack: "all", silent: true, barWidth: 13, itemStyle: { color: "none" }, data: drawing.spans.map((span) => span.start) },
          {
            type: "bar",
            stack: "all",
            silent: true,
            barMinHeight: 2,
            emphasis: { disabled: true },
            itemStyle: { color: colour(drawing.colour), borderRadius: 2 },
            data: drawing.spans.map((span) => span.duration),
            label: { show: true, position: "right", distance: 6, ...strong, formatter: (item) => drawing.spans[item.dataIndex].text },
          },
        ],
      },
    };
  };

  // Built of elements, so that a name is text whatever is in it.
  const tip = (curve, point) => {
    const box = document.createElement("div");
    box.className = "tip-box";
    const name = document.createElement("b");
    name.textContent = curve.name;
    box.append(name, document.createElement("br"), `${point[3]} at ${point[2]}`);
    return box;
  };

  const tips = (drawing) => ({
    trigger: "item",
    confine: true,
    transitionDuration: 0,
    backgroundColor: colour("paper"),
    borderColor: colour("line-2"),
    formatter: (item) => (item.componentType === "series" ? tip(drawing.curves[item.seriesIndex], item.data.point) : ""),
  });

  const curves = (drawing, width) => {
    // charts over the same axis begin at the same place
    const beside = widthOf(drawing.y.ticks.map((tick) => tick.text));
    const left = (drawing.wide ? Math.max(beside, 44) : beside) + 12;
    const room = width - left - 20;
    // names of lines in as few rows as keep them apart
    const ends = [];
    const span = drawing.x.high - drawing.x.low || 1;
    const rows = drawing.lines.map((line) => {
      const centre = ((line.place - drawing.x.low) / span) * room;
      const half = widthOf([line.text]) / 2 + 6;
      const free = ends.findIndex((end) => end <= centre - half);
      const row = free < 0 ? ends.length : free;
      ends[row] = centre + half;
      return row;
    });
    const names = ends.length * 16;
    const [least, most] = drawing.wide ? [230 + names, 270 + names] : [250, 360];
    const height = Math.round(Math.min(most, Math.max(least, width * 0.42)));
    return {
      height,
      option: {
        ...base,
        grid: { left, right: 20, top: names ? 26 + names : 28, bottom: 50, ...grid },
        xAxis: valueAxis(drawing.x, thinned(drawing.x.ticks, room), {
          name: drawing.x.title, nameLocation: "middle", nameGap: 32, nameTextStyle: text,
          axisLine: { show: true, lineStyle: { color: colour("line-2") } },
          splitLine: { show: false },
        }),
        yAxis: valueAxis(drawing.y, drawing.y.ticks, {
          name: drawing.y.title, nameLocation: "end", nameGap: names ? 8 + names : 12,
          nameTextStyle: { ...text, align: "left", padding: [0, 0, 0, -left + 4] },
        }),
        series: drawing.curves.map((curve, number) => ({
          type: "line",
          name: curve.name,
          showSymbol: true,
          symbol: "circle",
          symbolSize: curve.points.length > 40 ? 4 : 6,
          lineStyle: { color: colour(curve.colour), width: 2.25, type: curve.line },
          itemStyle: { color: colour(curve.colour), opacity: curve.points.length > 40 ? 0 : 1 },
          emphasis: { disabled: true },
          data: curve.points.map((point) => ({ value: [point[0], point[1]], point })),
          markLine: number === 0 && names
            ? {
                silent: true,
                symbol: "none",
                animation: false,
                // the default rounds places to hundredths
                precision: 15,
                lineStyle: { color: colour("ink-3"), type: [4, 4], width: 1.25 },
                data: drawing.lines.map((line, number) => ({
                  xAxis: line.place,
                  label: { formatter: () => line.text, ...strong, position: "end", distance: 8 + 16 * rows[number] },
                })),
              }
            : undefined,
        })),
      },
    };
  };

  const kinds = { bars, curves, waterfall };
  const onPaper = 680;
  const charts = [];

  const draw = (chart, width) => {
    if (width < 1 || width === chart.width) return;
    chart.width = width;
    const { option, height } = kinds[chart.drawing.draw](chart.drawing, width);
    if (!chart.instance) {
      chart.instance = echarts.init(chart.place, null, { renderer: "svg", width, height });
      if (chart.drawing.draw === "curves") {
        // Only now: preparing tips lays out the page, and most are never asked for.
        chart.place.addEventListener("pointerenter", () => {
          chart.tooltip = tips(chart.drawing);
          chart.instance.setOption({ tooltip: chart.tooltip });
        }, { once: true });
      }
    } else {
      chart.instance.resize({ width, height });
    }
    chart.instance.setOption({ ...option, tooltip: chart.tooltip }, true);
    const svg = chart.place.querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-hidden", "true");
  };

  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  root.classList.remove("no-script");
  // Out of the width of a section alone: to ask a chart's place for its width would lay out the
  // whole page, of which the browser so far laid out only what can be seen.
  const column = 400;
  const gap = 32;
  const halves = 856;
  const between = 56;
  const roomOf = (place) => {
    const section = place.closest(".section");
    const style = getComputedStyle(section);
    const whole = section.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const half = whole >= halves && place.closest("figure").classList.contains("half");
    const inner = half ? (whole - between) / 2 : whole;
    const lanes = place.closest(".drawings").children.length;
    const columns = Math.max(1, Math.min(lanes, Math.floor((inner + gap) / (column + gap))));
    return Math.floor((inner - gap * (columns - 1)) / columns);
  };

  const places = [...document.querySelectorAll("[data-drawing]")];
  const widths = places.map(roomOf);
  const drawn = new Set(document.querySelectorAll("details.figures, details.more"));
  places.forEach((place, number) => {
    const chart = { place, drawing: drawings[Number(place.dataset.drawing)], width: 0 };
    try {
      draw(chart, widths[number]);
      charts.push(chart);
    } catch (error) {
      // Tables stay open beside a chart that could not be drawn.
      for (const details of place.closest(".section").querySelectorAll("details")) drawn.delete(details);
      place.remove();
      console.error(error);
    }
  });
  for (const details of drawn) details.open = false;
  // A link into a folded section opens it.
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let each = target.querySelector(":scope > details.more") ?? target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  // Only what scrolls is a stop on the way of the Tab key, and shows on which side there is more.
  const scrolling = document.querySelectorAll(".scroll");
  const more = (each) => {
    const rest = each.scrollWidth - each.clientWidth - each.scrollLeft;
    return [each.scrollLeft > 1 ? "left" : "", rest > 1 ? "right" : ""].join(" ").trim();
  };
  const stops = () => {
    const sides = [...scrolling].map(more);
    scrolling.forEach((each, number) => {
      each.dataset.more = sides[number];
      if (sides[number]) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    });
  };
  for (const each of scrolling) {
    each.addEventListener("scroll", () => { each.dataset.more = more(each); }, { passive: true });
  }

  // The rest of the page is laid out once what can be seen has been shown.
  let settled = false;
  const settle = () => {
    settled = true;
    root.classList.add("settled");
    stops();
  };

  let printing = false;
  let waiting = 0;
  const fit = () => {
    waiting = 0;
    if (settled) stops();
    if (printing) return;
    const now = charts.map((chart) => roomOf(chart.place));
    charts.forEach((chart, number) => draw(chart, now[number]));
  };
  const watch = new ResizeObserver(() => {
    if (!waiting) waiting = requestAnimationFrame(fit);
  });
  const main = document.getElementById("report");
  watch.observe(main);
  for (const details of document.querySelectorAll("details")) {
    details.addEventListener("toggle", () => settled && stops());
  }

  let closed = [];
  const prepare = () => {
    if (printing) return;
    printing = true;
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
    for (const chart of charts) draw(chart, onPaper);
  };
  const restore = () => {
    if (!printing) return;
    printing = false;
    for (const details of closed) details.open = false;
    fit();
  };
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", restore);
  const paper = matchMedia("print");
  paper.addEventListener("change", () => (paper.matches ? prepare() : restore()));
  if (paper.matches) prepare();

  const button = document.querySelector(".theme");
  const themes = ["automatic", "light", "dark"];
  const remember = (theme) => {
    try { localStorage.setItem("perfkit-theme", theme); } catch { /* not where files may not */ }
  };
  const recall = () => {
    try { return localStorage.getItem("perfkit-theme"); } catch { return null; }
  };
  const show = (theme) => {
    if (theme === "automatic") delete root.dataset.theme;
    else root.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
    button.dataset.now = theme;
  };
  show(themes.includes(recall()) ? recall() : "automatic");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.now) + 1) % themes.length];
    show(next);
    remember(next);
  });

  requestAnimationFrame(() => setTimeout(settle, 100));
  root.dataset.charts = "drawn";
  performance.mark("perfkit-drawn");
})();
