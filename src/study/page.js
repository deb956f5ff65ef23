/* page.js: draws the charts of a page with Chart.js, sorts its tables, follows light and dark; on a live page fetches what is new.
 * Everything a chart shows stands as JSON beside it, so a page without the library or without scripts still has its tables. */
'use strict';
(() => {
const root = document.documentElement, main = document.querySelector('main'), charts = new Map();
const css = name => getComputedStyle(root).getPropertyValue(name).trim();

/* ---- light and dark: what the system says, or what the button chose ---- */

const night = matchMedia('(prefers-color-scheme: dark)');
let theme = null;
function applyTheme() {
    root.dataset.theme = theme || (night.matches ? 'dark' : 'light');
    const button = document.getElementById('theme');
    if (button) button.textContent = root.dataset.theme === 'dark' ? 'light' : 'dark';
}

/* Okabe and Ito's colours, told apart by the colour-blind; on dark ground their lighter half. After six, dashes. */
const LIGHT = ['#0072b2', '#d55e00', '#009e73', '#b8478d', '#b07900', '#56b4e9'], DARK = ['#56b4e9', '#ff8f4a', '#2fc49a', '#e79fc7', '#f0e442', '#7aa7ff'];
const palette = () => root.dataset.theme === 'dark' ? DARK : LIGHT;
/* Viridis for sizes, blue over grey to orange for what has a sign; by anchors. */
const SIZES = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], SIGNS = [[0, 90, 160], [110, 165, 205], [238, 238, 238], [240, 160, 90], [190, 80, 0]];
function shade(anchors, t) {
    const at = Math.min(Math.max(t, 0), 1) * (anchors.length - 1), i = Math.min(Math.floor(at), anchors.length - 2);
    return anchors[i].map((c, k) => Math.round(c + (anchors[i + 1][k] - c) * (at - i)));
}

function say(v) {
    if (v === null || v === undefined || Number.isNaN(v)) return '\u2013';
    const size = Math.abs(v);
    return v !== 0 && (size < 1e-3 || size >= 1e6) ? v.toExponential(2) : String(+v.toPrecision(4));
}

/* On a logarithmic axis: powers of ten; 2 and 5 between them where there are few. */
function powers(v, i, all) {
    const m = Math.round(v / 10 ** Math.floor(Math.log10(v) + 1e-9));
    return m === 1 || (all.length < 20 && (m === 2 || m === 5)) ? (v < 1e-3 || v >= 1e5 ? v.toExponential(0) : +v.toPrecision(1)) : null;
}

/* ---- lines ---- */

/* Of each visible line the point nearest to the pointer's x; of very many lines only the one nearest of all. */
function nearest(chart, event) {
    const found = [], many = chart.config.options.many;
    for (const meta of chart.getSortedVisibleDatasetMetas()) {
        let best = null, least = Infinity;
        meta.data.forEach((element, index) => {
            const d = Math.hypot(element.x - event.x, many ? element.y - event.y : 0);
            if (d < least && !element.skip) { least = d; best = { element, index, datasetIndex: meta.index, d }; }
        });
        if (best && least < 60) found.push(best);
    }
    found.sort((a, b) => a.d - b.d);
    return many ? found.slice(0, 1) : found;
}

/* Least and largest of what is shaded: an axis has room for it. */
function reach(datasets, log) {
    const seen = datasets.flatMap(s => s.band ? [...s.band.low, ...s.band.high] : []).filter(v => v !== null && (!log || v > 0));
    return seen.length ? { suggestedMin: seen.reduce((a, b) => Math.min(a, b)), suggestedMax: seen.reduce((a, b) => Math.max(a, b)) } : {};
}

/* What is shaded about a line, behind all lines; a gap parts it. */
const bands = {
    id: 'bands',
    beforeDatasetsDraw(chart) {
        const { ctx, chartArea: a, scales: { x, y } } = chart, down = v => Number.isFinite(y.getPixelForValue(v)) ? y.getPixelForValue(v) : a.bottom;
        ctx.save();
        ctx.beginPath();
        ctx.rect(a.left, a.top, a.width, a.height);
        ctx.clip();
        chart.data.datasets.forEach((s, k) => {
            if (!s.band || !chart.isDatasetVisible(k)) return;
            const { low, high, at } = s.band;
            ctx.fillStyle = s.backgroundColor + '2e';
            for (let i = 0, end; i < low.length; i = end + 1) {
                for (end = i; end < low.length && low[end] !== null; end++);
                if (end === i) continue;
                ctx.beginPath();
                for (let p = i; p < end; p++) ctx.lineTo(x.getPixelForValue(at[p]), down(high[p]));
                for (let p = end - 1; p >= i; p--) ctx.lineTo(x.getPixelForValue(at[p]), down(low[p]));
                ctx.fill();
            }
        });
        ctx.restore();
    },
};

function lines(d) {
    const colors = palette(), many = d.sets.length > 26;
    let shared = null;
    const datasets = d.sets.map(([label, color, style, x, y, low, high]) => {
        shared = x || shared;
        const stroke = color < 0 ? css('--soft') : colors[color % colors.length], dash = style === 'dash' ? [6, 4] : style === 'dots' ? [2, 3] : color >= colors.length ? [10, 3] : [];
        return { label, group: color, band: low && { low, high, at: d.labels ? low.map((v, i) => i) : shared }, data: d.labels ? y : y.map((v, i) => ({ x: shared[i], y: d.log && v <= 0 ? null : v })), borderColor: many ? stroke + '99' : stroke, backgroundColor: stroke,
                 borderWidth: many ? 1 : 1.75, borderDash: dash, pointRadius: many && style === 'dots' ? 1 : style === 'dots' || y.length === 1 ? 2.5 : d.labels && y.length <= 48 && style !== 'dash' ? 2 : 0, pointHitRadius: 8, spanGaps: false };
    });
    let last = 0;
    if (!d.labels) for (const s of datasets) for (const p of s.data) last = Math.max(last, p.x);
    const whole = v => Number.isInteger(v) ? v.toLocaleString('en') : null;
    return { type: 'line', data: { labels: d.labels, datasets }, plugins: [bands], options: {
        many, parsing: d.labels ? undefined : false, normalized: true, interaction: { mode: 'near', intersect: false },
        scales: { x: d.labels ? { title: { display: !!d.x, text: d.x }, ticks: { maxRotation: 60 } } : { type: 'linear', min: 0, max: last || 1, title: { display: true, text: d.x }, ticks: { callback: whole, maxTicksLimit: 9 } },
                  y: Object.assign({ title: { display: !!d.y, text: d.y }, ...reach(datasets, d.log) }, d.log ? { type: 'logarithmic', ticks: { callback: powers } } : { type: 'linear', ticks: { maxTicksLimit: 8 } }) },
        plugins: { legend: legend(d, colors), tooltip: { itemSort: (a, b) => b.parsed.y - a.parsed.y, callbacks: {
            title: items => items.length ? `${d.x} ${d.labels ? items[0].label : items[0].parsed.x.toLocaleString('en')}` : '',
            label: item => `${item.dataset.label}: ${say(item.parsed.y)}${d.labels || item.parsed.x === item.chart.tooltip?.dataPoints?.[0]?.parsed.x ? '' : ` (${item.parsed.x})`}` } } } } };
}

/* One entry a colour, which hides and shows all lines of it: a run with its dots and its dashes, or a group of very many. Reference lines stay. */
function legend(d, colors) {
    const entries = new Map();
    d.sets.forEach(([label, color]) => { if (color >= 0 && !entries.has(color)) entries.set(color, d.groups ? d.groups[color] : label); });
    return { display: entries.size > 1 && entries.size < 40, texts: [...entries.values()], position: 'bottom', align: 'start',
        labels: { usePointStyle: true, pointStyle: 'line', pointStyleWidth: 28, boxHeight: 7, generateLabels: chart => [...entries].map(([color, text]) => ({
            text, index: color, strokeStyle: colors[color % colors.length], fontColor: css('--soft'), lineWidth: 2, pointStyle: 'line', lineDash: color >= colors.length ? [10, 3] : [],
            hidden: chart.data.datasets.every((s, k) => s.group !== color || !chart.isDatasetVisible(k)) })) },
        onClick: (event, item, owner) => {
            owner.chart.data.datasets.forEach((s, k) => { if (s.group === item.index) owner.chart.setDatasetVisibility(k, item.hidden); });
            owner.chart.update();
        } };
}

/* What a legend takes beyond two rows its plot is made taller by. */
function fit(plot, legend) {
    const pen = plot.querySelector('canvas').getContext('2d'), row = 22, besides = 28 + 20;
    let rows = 1, at = 0;
    plot.style.height = '';
    if (!legend.display) return;
    pen.font = `${Chart.defaults.font.size}px ${Chart.defaults.font.family}`;
    for (const text of legend.texts) {
        const width = besides + pen.measureText(text).width;
        if (at && at + width > plot.clientWidth) { rows++; at = 0; }
        at += width;
    }
    if (rows > 2) plot.style.height = `${plot.clientHeight + (rows - 2) * row}px`;
}

/* ---- heat maps: one image of a pixel per cell, stretched; Chart.js has the axes ---- */

function heat(d, figure) {
    const rows = d.rows.length, cols = d.steps.length, anchors = d.signed ? SIGNS : SIZES, image = document.createElement('canvas');
    image.width = cols;
    image.height = rows;
    const pen = image.getContext('2d'), pixels = pen.createImageData(cols, rows);
    d.v.forEach((v, i) => {
        const at = 4 * ((rows - 1 - i % rows) * cols + Math.floor(i / rows));
        if (v !== null) pixels.data.set([...shade(anchors, (v - d.low) / (d.high - d.low)), 255], at);
    });
    pen.putImageData(pixels, 0, 0);
    const tip = figure.querySelector('.tip') || figure.querySelector('.plot').appendChild(Object.assign(document.createElement('div'), { className: 'tip', hidden: true }));
    const strip = figure.querySelector('.scale i');
    if (strip) strip.style.background = `linear-gradient(90deg, ${anchors.map(c => `rgb(${c})`).join(',')})`;
    const cells = {
        id: 'cells',
        beforeDatasetsDraw(chart) {
            const a = chart.chartArea;
            chart.ctx.save();
            chart.ctx.imageSmoothingEnabled = false;
            chart.ctx.drawImage(image, a.left, a.top, a.width, a.height);
            chart.ctx.restore();
        },
        afterEvent(chart, { event, inChartArea }) {
            if (event.type !== 'mousemove' && event.type !== 'click' && event.type !== 'touchstart' && event.type !== 'touchmove') { tip.hidden = true; return; }
            const a = chart.chartArea, col = Math.floor((event.x - a.left) / a.width * cols), row = rows - 1 - Math.floor((event.y - a.top) / a.height * rows);
            tip.hidden = !inChartArea || col < 0 || col >= cols || row < 0 || row >= rows;
            if (tip.hidden) return;
            tip.textContent = `${d.rows[row]}, step ${d.steps[col]}: ${say(d.v[col * rows + row])}`;
            tip.style.left = Math.max(0, Math.min(event.x + 12, chart.width - tip.offsetWidth - 4)) + 'px';
            tip.style.top = Math.max(0, event.y - 30) + 'px';
        },
    };
    return { type: 'scatter', data: { datasets: [{ data: [] }] }, plugins: [cells], options: {
        events: ['mousemove', 'mouseout', 'click', 'touchstart', 'touchmove'],
        scales: { x: { type: 'category', labels: d.steps, offset: true, grid: { display: false }, title: { display: true, text: 'step' }, ticks: { maxRotation: 0, autoSkipPadding: 12 } },
                  y: { type: 'category', labels: d.rows, offset: true, reverse: true, grid: { display: false }, ticks: { autoSkipPadding: 2, font: { size: 10 } } } },
        plugins: { legend: { display: false }, tooltip: { enabled: false } } } };
}

/* A chart is drawn when it comes near the window: a page of hundreds of runs opens at once. */
let hidden = new Map(), watcher = null;
function draw(figure) {
    if (charts.has(figure.id)) return;
    const d = JSON.parse(figure.querySelector('script').textContent), config = d.rows ? heat(d, figure) : lines(d), off = hidden.get(figure.id);
    config.data.datasets.forEach(s => { if (off && off.has(s.label)) s.hidden = true; });
    fit(figure.querySelector('.plot'), config.options.plugins.legend);
    charts.set(figure.id, new Chart(figure.querySelector('canvas'), config));
}
function drawAll() {
    if (typeof Chart === 'undefined') return;
    hidden = new Map([...hidden, ...[...charts].map(([id, chart]) => [id, new Set(chart.data.datasets.filter((s, i) => !chart.isDatasetVisible(i)).map(s => s.label))])]);
    charts.forEach(chart => chart.destroy());
    charts.clear();
    watcher?.disconnect();
    Chart.defaults.color = css('--soft');
    Chart.defaults.borderColor = css('--line');
    Chart.defaults.animation = false;
    Chart.defaults.maintainAspectRatio = false;
    Chart.Interaction.modes.near = nearest;
    watcher = new IntersectionObserver(seen => seen.forEach(e => { if (e.isIntersecting) draw(e.target); }), { rootMargin: '100px' });
    document.querySelectorAll('figure.chart').forEach(figure => watcher.observe(figure));
}
addEventListener('beforeprint', () => document.querySelectorAll('figure.chart').forEach(draw));

/* ---- tables ---- */

const sorted = new Map();   /* table number -> [column, direction]: kept when a live page renews itself */
function valueOf(row, column) {
    const cell = row.cells[column], text = cell ? cell.dataset.v ?? cell.textContent.trim() : '', number = text === '' ? NaN : Number(text);
    return Number.isNaN(number) ? text : number;
}
function order(a, b) {
    if (a === '' || b === '') return a === b ? 0 : a === '' ? Infinity : -Infinity;   /* nothing comes last, either way */
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    return typeof a === 'number' ? -1 : typeof b === 'number' ? 1 : a.localeCompare(b, 'en', { numeric: true });
}
function sortTable(table, column, direction) {
    const body = table.tBodies[0], rows = [...body.rows].map(row => [valueOf(row, column), row]);
    rows.sort((a, b) => { const o = order(a[0], b[0]); return Number.isFinite(o) ? o * direction : o; });
    body.append(...rows.map(pair => pair[1]));
    [...table.tHead.rows[0].cells].forEach((th, i) => th.setAttribute('aria-sort', i !== column ? 'none' : direction > 0 ? 'ascending' : 'descending'));
}
function prepareTables() {
    document.querySelectorAll('table').forEach((table, number) => {
        if (!table.tHead || !table.tBodies[0].rows.length) return;
        [...table.tHead.rows[0].cells].forEach((th, i) => th.classList.toggle('text', !!table.tBodies[0].rows[0].cells[i]?.matches('.text, .long')));
        if (table.tBodies[0].rows.length < 2) return;
        [...table.tHead.rows[0].cells].forEach((th, column) => {
            const button = Object.assign(document.createElement('button'), { type: 'button', textContent: th.textContent });
            th.replaceChildren(button);
            th.setAttribute('aria-sort', 'none');
            button.addEventListener('click', () => {
                const direction = th.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
                sorted.set(number, [column, direction]);
                sortTable(table, column, direction);
            });
        });
        if (sorted.has(number)) sortTable(table, ...sorted.get(number));
    });
}

/* ---- the rest of the page ---- */

function copy(button) {
    const pre = button.parentElement.querySelector('pre'), range = document.createRange();
    range.selectNodeContents(pre);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    const done = () => { button.textContent = 'copied'; setTimeout(() => { button.textContent = 'copy'; }, 1500); };
    if (navigator.clipboard) navigator.clipboard.writeText(pre.textContent).then(done, () => {});
    else if (document.execCommand('copy')) done();
}
/* One entry for each heading, in front of the button. */
function navigate() {
    const nav = document.querySelector('nav');
    nav.querySelectorAll('a').forEach(a => a.remove());
    const links = [...main.querySelectorAll('h2')].map((h, i) => {
        h.id = `section${i}`;
        return Object.assign(document.createElement('a'), { href: `#${h.id}`, textContent: h.textContent });
    });
    nav.prepend(...links);
}
function prepare() {
    navigate();
    prepareTables();
    document.querySelectorAll('.copy').forEach(box => {
        const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'copy' });
        button.addEventListener('click', () => copy(button));
        box.append(button);
    });
    document.querySelectorAll('input[data-only]').forEach(box => {
        const follow = () => document.getElementById(box.dataset.only).classList.toggle('only', box.checked);
        box.addEventListener('change', follow);
        follow();
    });
    drawAll();
}

/* ---- a live page: its main part again whenever the log has grown, not while somebody points at a chart ---- */

function follow(milliseconds) {
    let tag = main.dataset.tag || '', skipped = 0, misses = 0;
    const gone = document.getElementById('gone');
    async function look() {
        try {
            const answer = await fetch('body', { headers: tag ? { 'If-None-Match': tag } : {}, cache: 'no-store' });
            misses = 0;
            gone.hidden = true;
            if (answer.status === 200) {
                const text = await answer.text();
                if (document.querySelector('figure:hover') && skipped++ < 5) return;
                skipped = 0;
                tag = answer.headers.get('ETag') || '';
                const open = new Map([...main.querySelectorAll('details[id], input[id]')].map(e => [e.id, e.open ?? e.checked]));
                main.innerHTML = text;
                open.forEach((on, id) => { const e = document.getElementById(id); if (e) e[e.tagName === 'DETAILS' ? 'open' : 'checked'] = on; });
                prepare();
            }
        } catch (error) {
            gone.hidden = ++misses < 3;
        }
    }
    setInterval(look, milliseconds);
}

applyTheme();
night.addEventListener('change', () => { applyTheme(); drawAll(); });
document.getElementById('theme')?.addEventListener('click', () => {
    theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
    applyTheme();
    drawAll();
});
prepare();
if (document.body.dataset.live) follow(Number(document.body.dataset.live));
})();
