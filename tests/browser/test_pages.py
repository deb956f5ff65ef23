"""test_pages.py PROGRAM: what a reader of a report does with it, in a headless browser. Exit 77: there is none."""
import filecmp, os, subprocess, sys, time, traceback
import browser
from runs import Folder

ROWS = "[...document.querySelectorAll('table')[0].tBodies[0].rows].map(r => r.cells[%d].textContent)"
CENTRE = "(e => { e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })"


def expect(what, truth):
    if not truth:
        raise AssertionError(what)


def quiet(page, url):
    expect(f"no complaints: {page.console}", not page.console)
    expect(f"no other request than {url}: {page.requests}", all(u.startswith(url) or u.startswith("data:") for u in page.requests))


def centre(page, selector):
    page.run(f"{CENTRE}(document.querySelector({selector!r}))")
    page.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")   # what comes near the window is drawn
    return page.run(f"{CENTRE}(document.querySelector({selector!r}))")


def tables_sort(page, url):
    page.open(url)
    column = page.run("[...document.querySelectorAll('table')[0].tHead.rows[0].cells].findIndex(c => c.textContent === 'val loss')")
    head = f"table th:nth-child({column + 1})"
    page.point(*centre(page, head + " button"), click=True)
    up = [float(v) for v in page.run(ROWS % column)]
    expect("a click sorts upwards", up == sorted(up) and len(up) == 3 and page.run(f"document.querySelector('{head}').getAttribute('aria-sort')") == "ascending")
    page.run(f"document.querySelector('{head} button').focus()")
    page.press("Enter", 13)
    expect("Enter turns it around", [float(v) for v in page.run(ROWS % column)] == up[::-1] and page.run(f"document.querySelector('{head}').getAttribute('aria-sort')") == "descending")
    page.point(*centre(page, "table th button"), click=True)
    expect("another column takes over", page.run(ROWS % 0) == sorted(page.run(ROWS % 0)) and page.run(f"document.querySelector('{head}').getAttribute('aria-sort')") == "none")
    quiet(page, url)


def pointing_shows_values(page, url):
    page.open(url)
    page.point(*centre(page, "#loss canvas"))
    told = page.run("(t => t.opacity > 0 ? t.title.concat(t.body.flatMap(b => b.lines)) : [])(Chart.getChart(document.querySelector('#loss canvas')).tooltip)")
    expect(f"the nearest values: {told}", told and told[0].startswith("step ") and any("pre" in line for line in told))
    page.point(*centre(page, "#identity_share_0 canvas"))
    tip = page.run("document.querySelector('#identity_share_0 .tip:not([hidden])')?.textContent || ''")
    expect(f"the value of a cell: {tip!r}", "step" in tip and tip.startswith(("0.", "1.")))
    pixel = page.run("(c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data])(document.querySelector('#identity_share_0 canvas'))")
    expect(f"a map has colours: {pixel}", pixel[3] == 255)
    quiet(page, url)


def the_legend_hides_a_run(page, url):
    page.open(url)
    centre(page, "#loss canvas")
    count = "Chart.getChart(document.querySelector('#loss canvas')).getVisibleDatasetCount()"
    before = page.run(count)
    page.run("(c => c.options.plugins.legend.onClick(null, c.legend.legendItems[0], c.legend))(Chart.getChart(document.querySelector('#loss canvas')))")
    expect("a run goes with its dots", page.run(count) == before - 2)
    page.dark(True)
    centre(page, "#loss canvas")
    expect("and stays away in the dark", page.run(count) == before - 2)


def light_and_dark(page, url):
    ground, ink = "getComputedStyle(document.body).backgroundColor", "Chart.getChart(document.querySelector('#loss canvas')).data.datasets[0].borderColor"
    page.open(url, dark=False)
    centre(page, "#loss canvas")
    light, line = page.run(ground), page.run(ink)
    page.dark(True)
    centre(page, "#loss canvas")
    expect("the system's choice is followed, by charts too", page.run(ground) != light and page.run(ink) != line)
    page.run("document.getElementById('theme').click()")
    centre(page, "#loss canvas")
    expect("the button stands above it", page.run(ground) == light and page.run(ink) == line)
    quiet(page, url)


def a_phone_can_read_it(page, url):
    for dark in (False, True):
        page.open(url, width=390, height=800, dark=dark)
        expect("nothing is wider than the window", page.run("document.documentElement.scrollWidth") <= 390)
        expect("charts fit", page.run("[...document.querySelectorAll('figure')].every(f => f.getBoundingClientRect().right <= 391)"))
    quiet(page, url)


def differences_and_commands(page, url):
    page.open(url)
    visible = "[...document.querySelectorAll('#configuration tbody tr')].filter(r => r.offsetParent).map(r => r.cells[0].textContent)"
    few = page.run(visible)
    expect(f"at first what differs: {few}", "design" in few and "seq_len" not in few and "out" not in few)
    page.run("document.getElementById('configuration_only').click()")
    expect("then everything", "seq_len" in page.run(visible))
    expect("who set it", "--design" in page.run("document.getElementById('configuration').textContent"))
    expect("commands can be copied", page.run("document.querySelectorAll('.copy button').length") == 3)
    expect("papers are named", page.run("[...document.querySelectorAll('a[href*=\"arxiv.org/abs/2002.04745\"]')].length") == 1)


def the_command_makes_it_again(page, folder):
    page.open("file://" + folder.file("post", "report.html"))
    command = page.run("document.querySelector('.copy pre').textContent")
    expect(f"an addnorm command: {command}", command.startswith("addnorm train"))
    subprocess.run(["sh", "-ec", f'addnorm() {{ "{folder.program}" "$@" --out again -q; }}\n{command}'], cwd=folder.path, env=folder.environment, check=True, stdout=subprocess.DEVNULL)
    for name in ("model.safetensors", "optimizer.safetensors"):
        expect(f"the same {name}", filecmp.cmp(folder.file("post", "checkpoints", "latest", name), folder.file("again", "checkpoints", "latest", name), shallow=False))


def hostile_texts_are_texts(page, url):
    page.open(url)
    expect("nothing ran", page.run("window.broken === undefined && !document.querySelector('main script:not([type])') && !document.querySelector('main b, main img')"))
    expect("it is shown as it is", "<img src=x onerror" in page.run("document.querySelector('main').textContent"))
    quiet(page, url)


def a_study_of_many_runs(page, folder):
    folder.study("study", "pre", 500, ("1e-3", "2e-3", "4e-3", "8e-3"))
    folder.run("report", "study")
    url = "file://" + folder.file("study", "report.html")
    seconds = page.open(url)
    bytes_ = os.path.getsize(folder.file("study", "report.html"))
    print(f"    500 runs: {bytes_} bytes, opened in {seconds:.2f} s")
    expect("it stays small", bytes_ < 2 << 20)
    expect("every run has a row", page.run("document.querySelectorAll('table')[2].tBodies[0].rows.length") == 500)
    expect("verdicts come first, as text", page.run("document.querySelectorAll('table')[0].textContent").count("<b>holds</b>") == 1)
    expect("means have their interval", "2.5 \u00b1 0.12" in page.run("document.querySelectorAll('table')[1].textContent"))
    centre(page, "#loss canvas")
    expect("colours stand for designs", sorted(page.run("Chart.getChart(document.querySelector('#loss canvas')).legend.legendItems.map(i => i.text)")) == ["deepnorm", "plain", "post-ln", "pre-ln"])
    expect("a line for the seeds of each", page.run("Chart.getChart(document.querySelector('#val_loss canvas')).data.datasets.filter(s => s.band).length") == 16)
    quiet(page, url)


def seeds_are_one_line(page, folder):
    folder.study("seeds", "pre", 24, ("1e-3", "4e-3"))
    folder.run("report", "seeds", "--csv", "numbers")
    url = "file://" + folder.file("seeds", "report.html")
    page.open(url)
    centre(page, "#update_norm canvas")                    # the same in all: its band has no height
    centre(page, "#bits_per_byte canvas")
    centre(page, "#loss canvas")
    chart = "Chart.getChart(document.querySelector('#loss canvas'))"
    names = page.run(f"{chart}.legend.legendItems.map(i => i.text)")
    expect(f"a colour for what differs besides the seed: {names}", len(names) == 8 and "design=pre-ln, lr=4e-3" in names)
    line = page.run(f"(s => [s.data.map(p => p.y), s.band.low, s.band.high])({chart}.data.datasets[0])")
    expect("three seeds: the mean between the least and the largest", all(low < mean < high for mean, low, high in zip(*line)))
    with open(folder.file("numbers", "loss.csv")) as f:
        rows = [row.split(",") for row in f.read().splitlines()[1:]]
    cells = sorted({row[0] for row in rows if row[0].startswith("deepnorm-1e-3")})
    first = [float(next(row[2] for row in rows if row[0] == cell)) for cell in cells]
    expect("the numbers are those of single runs", len(cells) == 3 and abs(sum(first) / 3 - line[0][0]) < 1e-3 and abs(min(first) - line[1][0]) < 1e-3 and abs(max(first) - line[2][0]) < 1e-3)
    pixels = page.run(f"(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v === 0x2e).length)({chart}.canvas)")
    expect(f"and it is drawn, through which one sees: {pixels}", pixels > 500)
    quiet(page, url)


def the_same_run_twice_is_two_lines(page, folder):
    folder.train("twin", "--design", "pre-ln", "--steps", "12", "--log_every", "2")
    folder.train("other", "--design", "pre-ln", "--steps", "12", "--log_every", "2")
    folder.run("report", "twin", "other", "--out", "twins.html")
    url = "file://" + folder.file("twins.html")
    page.open(url)
    centre(page, "#loss canvas")
    names = page.run("Chart.getChart(document.querySelector('#loss canvas')).legend.legendItems.map(i => i.text)")
    expect(f"both have their line: {names}", names == ["twin", "other"])
    quiet(page, url)


def the_answer_has_its_page(page, folder):
    folder.run("study", "answer", "--quick", "--rebuild", "--data", "text", "--out", "answer", "-q")     # trains nothing: what norms show, the rest is open
    url = "file://" + folder.file("answer", "answer.html")
    page.open(url, width=1280, height=900, dark=False)
    verdicts = page.run("[...document.querySelectorAll('table')].filter(t => t.tHead.textContent.includes('verdict')).flatMap(t => [...t.tBodies[0].rows].map(r => r.cells[1].textContent))")
    expect(f"eighteen sentences, those of norms judged: {verdicts}", len(verdicts) == 18 and verdicts.count("holds") >= 5 and "open" in verdicts)
    head = "table th:nth-child(2)"
    page.point(*centre(page, head + " button"), click=True)
    expect("its tables sort", page.run(f"document.querySelector('{head}').getAttribute('aria-sort')") == "ascending")
    page.point(*centre(page, "#batch canvas"))
    told = page.run("(t => t.opacity > 0 ? t.body.flatMap(b => b.lines) : [])(Chart.getChart(document.querySelector('#batch canvas')).tooltip)")
    expect(f"its charts tell values: {told}", any("BatchNorm" in line for line in told))
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    page.run("document.getElementById('theme').click()")
    expect("its button turns light to dark", page.run("getComputedStyle(document.body).backgroundColor") != ground)
    page.open(url, width=390, height=800)
    expect("a phone can read it", page.run("document.documentElement.scrollWidth") <= 390)
    quiet(page, url)


def a_live_page_grows(page, folder):
    process, url = folder.serve("live", "--serve", "--steps", "1000000", "--log_every", "200", "--eval_every", "0", "--telemetry_every", "1000")
    try:
        steps = "Number(([...document.querySelectorAll('td')].find(c => c.textContent === 'steps') || {nextSibling: null}).nextSibling?.dataset?.v || 0)"
        page.point(1, 1)                             # not at a chart, which would keep it as it is
        page.open(url)
        page.run("document.querySelector('details')?.setAttribute('open', '')")
        seen, end = {page.run(steps)}, time.monotonic() + 60
        while len(seen) < 3 and time.monotonic() < end:
            time.sleep(0.2)
            seen.add(page.run(steps))
        expect(f"the page follows the run: {seen}", len(seen) >= 3)
        quiet(page, url)
        process.terminate()
        expect("the run ends as ever", process.wait(60) == 75)
        end = time.monotonic() + 30
        while page.run("document.getElementById('gone').hidden") and time.monotonic() < end:
            time.sleep(0.2)
        expect("and the page says so", not page.run("document.getElementById('gone').hidden"))
        expect("its last report is there", os.path.exists(folder.file("live", "report.html")))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main():
    program = browser.find()
    if not program:
        print("SKIPPED: no Chromium here (" + ", ".join(browser.NAMES) + ")")
        return 77
    bad = 0
    with Folder(sys.argv[1]) as folder:
        more = ["--steps", "12", "--log_every", "2", "--eval_every", "4", "--telemetry", "full", "--sample_every", "6", "--sample_tokens", "8"]
        for out, design in (("pre", "pre-ln"), ("post", "post-ln"), ("no <b>skip</b> & \"so on\"", "plain")):
            folder.train(out, "--design", design, *more)
        with open(folder.file("post", "log.jsonl"), "a") as f:
            f.write('{"event":"sample","step":12,"text":"</script><script>broken=1</script><img src=x onerror=broken=1>\\u2028"}\nnot json\n')
        folder.run("report", "pre", "post", "no <b>skip</b> & \"so on\"", "--out", "page.html")
        url, page = "file://" + folder.file("page.html"), browser.Browser(program)
        for test, argument in ((tables_sort, url), (pointing_shows_values, url), (the_legend_hides_a_run, url), (light_and_dark, url), (a_phone_can_read_it, url), (differences_and_commands, url), (the_command_makes_it_again, folder),
                               (hostile_texts_are_texts, url), (the_answer_has_its_page, folder), (a_study_of_many_runs, folder), (seeds_are_one_line, folder), (the_same_run_twice_is_two_lines, folder), (a_live_page_grows, folder)):
            try:
                test(page, argument)
                print(f"PASS {test.__name__}")
            except (AssertionError, RuntimeError):
                bad = 1
                print(f"FAIL {test.__name__}")
                traceback.print_exc(file=sys.stdout)
        page.close()
    return bad


sys.exit(main())
