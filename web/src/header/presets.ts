// Presets, with the amount that each hides; a click shows it, and hides it again.

import { activePresets, category, type Context } from "../state/context";
import { button, h, replace } from "../ui/dom";
import { exact, partOf } from "../ui/format";
import type { Hidden, PresetAnswer, Timeseries } from "../../generated/types";

type Told = Pick<Timeseries, "table" | "unit" | "meta" | "series" | "rate">;

export class PresetChips {
  readonly element = h("div.presets-on", { role: "group", "aria-label": "Presets" });
  /** The last answer that tells what is hidden. */
  private told: Told | null = null;
  private drawn = "";

  constructor(private readonly context: Context) {}

  tell(answer: Timeseries): void {
    this.told = answer;
    this.update();
  }

  update(): void {
    const presets = category(this.context)?.presets ?? [];
    const active = activePresets(this.context);
    const words = presets.map((one) => [one.name, ...this.words(one, active.includes(one.name))]);
    const wanted = JSON.stringify([words, active]);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.element.hidden = !presets.length;
    replace(this.element, ...presets.map((one) => this.chip(one, active)));
  }

  private chip(preset: PresetAnswer, active: string[]): HTMLElement {
    const on = active.includes(preset.name);
    const [state = "", amount = ""] = this.words(preset, on);
    const attributes = { title: preset.help || preset.name, "aria-pressed": String(on) };
    const turn = button(state, () => this.turn(preset, active), attributes);
    turn.append(h("span.number", amount));
    return h("span.preset", turn);
  }

  /** "idle waits hidden", and how much that is of all. */
  private words({ name }: PresetAnswer, on: boolean): [string, string] {
    const what = name.replace(/^without /, "");
    if (!on) return [`${what} shown`, ""];
    const { told } = this;
    const fits = told?.table === this.context.store.state.table;
    const hidden = fits ? told.meta.hidden.find(({ preset }) => preset === name) : undefined;
    return [`${what} hidden`, hidden && told ? amount(hidden, told) : ""];
  }

  private turn({ name }: PresetAnswer, active: string[]): void {
    const presets = category(this.context)?.presets ?? [];
    const on = active.includes(name);
    const now = presets.filter((one) => (one.name === name ? !on : active.includes(one.name)));
    const usual = presets.every((one) => one.default === now.includes(one));
    const text = usual ? "" : now.map((one) => one.name).join(";") || "-";
    this.context.store.set({ presets: text, zoom: [] });
  }
}

function amount(hidden: Hidden, { meta, series, unit, rate }: Told): string {
  const all = meta.hidden.reduce((sum, { rows }) => sum + rows, meta.rows);
  if (hidden.value === null) return `${exact(hidden.rows)} of ${exact(all)} rows`;
  const values = series.flatMap(({ values }) => values);
  const shown = values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  const whole = meta.hidden.reduce((sum, { value }) => sum + (value ?? 0), shown);
  return partOf(hidden.value, whole, meta.to - meta.from, unit, rate);
}
