// The form for a new category: problems while the user types, and a preview. Nothing is stored.

import { ApiError, problem } from "../api/client";
import { Figure } from "../charts/figure";
import type { Times } from "../charts/drawing";
import { sample } from "../charts/samples";
import { button, debounce, download, h, replace } from "../ui/dom";
import { exampleFlame } from "../flame/example";
import type {
  CategoryAnswer,
  ChartConfig,
  Checked,
  ColumnAnswer,
  Role,
} from "../../generated/types";

const EXAMPLE = `table: slowfiles
prettyname: Slow file operations
description: Reads and writes of files that took long, by what waited for them.
columns:
  - {name: process,   type: string,  prettyname: Process}
  - {name: operation, type: label,   prettyname: Operation}
  - {name: stack,     type: stack,   prettyname: Asked from}
  - {name: latency,   type: elapsed, prettyname: Latency}
  - {name: size,      type: bytes,   prettyname: Size, default: 0}
retention: 14d
`;

// A reload of the page, or a look at another, loses nothing that was written.
const DRAFT = "draft";
// The meaning of a role for the author of a category.
const USES: Record<Role, string> = {
  time: "when",
  dimension: "to group and filter by",
  identity: "to filter by",
  value: "to sum up",
  stack: "flame graph",
  histogram: "heatmap",
};
const UNITS: Record<string, string> = { us: "µs" };

export class NewPage {
  private readonly text: HTMLTextAreaElement;
  private readonly lines = h("pre.lines", { "aria-hidden": "true" });
  private readonly verdict = h("div.verdict", { "aria-live": "polite" });
  private readonly preview = h("div.preview", {
    tabindex: 0,
    role: "region",
    "aria-label": "Preview",
  });
  private readonly tabs = h("div.tabs", { role: "tablist", "aria-label": "Preview" });
  private readonly check = debounce(250, () => void this.ask());
  private answer: Checked | null = null;
  private shown = "Columns";
  private stale = false;
  private asked = 0;

  constructor() {
    this.text = h("textarea", {
      "aria-label": "Category in YAML",
      spellcheck: "false",
      autocomplete: "off",
      wrap: "off",
      oninput: () => this.changed(),
      onscroll: () => (this.lines.scrollTop = this.text.scrollTop),
    });
    this.text.value = sessionStorage.getItem(DRAFT) ?? EXAMPLE;
    const save = button("save as file", () => {
      const name = `${this.answer?.category?.table ?? "category"}.yaml`;
      download(name, new Blob([this.text.value], { type: "application/yaml" }));
    });
    document.title = "New category · Kernelscope";
    document.body.replaceChildren(
      h(
        "header.bar",
        h("a.brand", { href: "./" }, "Kernelscope"),
        h("h1", "New category"),
        h("span.hint", "Nothing is stored: save it into mine/, or another folder of the server's."),
        h("div.right", save),
      ),
      h(
        "main.newpage",
        h(
          "section.writing",
          { "aria-label": "The category" },
          h("div.editor", this.lines, this.text),
          this.verdict,
        ),
        h("section.made", { "aria-label": "What is made from it" }, this.tabs, this.preview),
      ),
    );
    this.changed();
  }

  private changed(): void {
    if (this.text.value !== EXAMPLE) sessionStorage.setItem(DRAFT, this.text.value);
    else sessionStorage.removeItem(DRAFT);
    const count = this.text.value.split("\n").length;
    this.lines.textContent = Array.from({ length: count }, (_, k) => k + 1).join("\n");
    this.check();
  }

  private async ask(): Promise<void> {
    const asked = ++this.asked;
    try {
      const response = await fetch("api/v1/check", { method: "POST", body: this.text.value });
      if (!response.ok) throw await problem(response);
      const answer = (await response.json()) as Checked;
      if (asked !== this.asked) return;
      // The last good preview stays while a line is half written.
      this.stale = !answer.category;
      if (answer.category || !this.answer) this.answer = answer;
      this.drawVerdict(answer);
      this.draw();
    } catch (error) {
      const words = error instanceof ApiError ? error.message : String(error);
      replace(this.verdict, h("p.error", words));
    }
  }

  private drawVerdict(answer: Checked): void {
    const problems = answer.problems.map((one) =>
      h(
        "li",
        button(one.line ? `line ${one.line}` : "file", () => this.goTo(one.line)),
        h("span", one.path ? `${one.path}: ${one.message}` : one.message),
      ),
    );
    const good = answer.declared_in
      ? `No problems. It would replace ${answer.category?.table}, now in ${answer.declared_in}.`
      : "No problems.";
    replace(
      this.verdict,
      problems.length
        ? h("strong", problems.length === 1 ? "1 problem" : `${problems.length} problems`)
        : h("strong.good", good),
      h("ul", ...problems),
    );
    this.text.setAttribute("aria-invalid", String(problems.length > 0));
  }

  private goTo(line: number): void {
    const lines = this.text.value.split("\n");
    const start = lines.slice(0, Math.max(0, line - 1)).join("\n").length + (line > 1 ? 1 : 0);
    this.text.focus();
    this.text.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    // A selection is not scrolled to; a few lines above it are worth seeing.
    this.text.scrollTop = (line - 5) * parseFloat(getComputedStyle(this.text).lineHeight);
  }

  private draw(): void {
    const { answer } = this;
    this.preview.classList.toggle("stale", this.stale && !!answer?.category);
    if (!answer?.category) {
      replace(this.tabs);
      replace(this.preview, h("p.hint", "Shown once there are no problems."));
      return;
    }
    const names = ["Columns", "Charts", ...Object.keys(answer.files)];
    if (!names.includes(this.shown)) this.shown = shownAgain(this.shown, names);
    replace(
      this.tabs,
      ...names.map((name) =>
        button(tabText(name), () => this.show(name), {
          role: "tab",
          title: name,
          "aria-selected": String(name === this.shown),
        }),
      ),
    );
    if (this.shown === "Columns") this.fill(columnTable(answer.category));
    else if (this.shown === "Charts") this.drawCharts(answer.category, answer.charts);
    else {
      const file = answer.files[this.shown] ?? "";
      this.fill(h("pre.file", { tabindex: 0, "aria-label": this.shown }, file));
    }
  }

  private fill(...children: HTMLElement[]): void {
    const old = "This is of the text before it had problems.";
    replace(this.preview, this.stale && h("p.error", old), ...children);
  }

  private show(name: string): void {
    this.shown = name;
    this.draw();
  }

  private drawCharts(category: CategoryAnswer, charts: ChartConfig[]): void {
    const to = Date.now() * 1000;
    const times: Times = { from: to - 3600e6, to, zone: "utc" };
    const figures = charts.map((chart) => {
      const kind = h("span.hint", ` ${chart.kind}`);
      if (chart.mark === "flame") {
        const plot = h("div.plot", exampleFlame(chart.unit));
        return h("figure", h("figcaption", chart.title, kind), plot);
      }
      const figure = new Figure(
        category,
        chart,
        { times: () => times, markers: () => [] },
        null,
        kind,
      );
      figure.show(sample(chart, times));
      return figure.element;
    });
    this.fill(
      h("p.hint", "Drawn with made-up values, to show the shape of each chart."),
      h("div.charts", ...figures),
    );
  }
}

/** A renamed table renames its files: the tab of the same kind stays open. */
function shownAgain(shown: string, names: string[]): string {
  const ending = shown.slice(shown.indexOf("."));
  return names.find((name) => name.endsWith(ending)) ?? "Columns";
}

function tabText(name: string): string {
  if (name.endsWith(".schema.json")) return "JSON Schema";
  if (name.endsWith(".charts.json")) return "Chart JSON";
  if (name.startsWith("grafana/")) return "Grafana";
  return /([a-z]+)\.sql$/.exec(name)?.[1] ?? name;
}

function columnTable(category: CategoryAnswer): HTMLElement {
  const row = ({ name, type, prettyname, unit, role, help }: ColumnAnswer) => {
    const cells = [name, type, prettyname, UNITS[unit] ?? unit, USES[role], help];
    return h("tr", ...cells.map((cell) => h("td", cell)));
  };
  const head = ["Column", "Type", "Shown as", "Unit", "Use", "Help"];
  return h(
    "div",
    h("h2", category.prettyname),
    h("p", category.description),
    h(
      "table.plain",
      h("thead", h("tr", ...head.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", ...category.columns.map(row)),
    ),
  );
}
