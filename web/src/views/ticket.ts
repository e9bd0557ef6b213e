// An answer of the panel as text that one pastes: a paragraph, or Markdown.

import { span, zoned } from "../ui/spans";
import { dateTime, type Zone } from "../ui/format";
import type { Changes, Finding, Words } from "../../generated/types";
import { below, change, percent } from "./finding";

export function ticket(answer: Changes, link: string): string {
  return `${answer.text}\n${link}\n`;
}

export function markdown(answer: Changes, zone: Zone, link: string): string {
  const time = zoned(dated(answer, zone), zone);
  const base = span(answer.base_from, answer.base_to, zone);
  const lines = answer.findings.map((one, k) => `${k + 1}. ${line(one)}`);
  const markers = answer.markers.map(({ message, host }) => `- marker **${message}** on ${host}`);
  const losses = answer.losses.map(({ text }) => `- ${text}`);
  const none = lines.length ? [] : ["Nothing is unusual."];
  const head = `**[What changed ${time}](${link})**, against ${base}`;
  return [head, "", ...lines, ...none, ...markers, ...losses, ""].join("\n");
}

/** A ticket is read on another day. */
function dated({ from, to }: Changes, zone: Zone): string {
  const [day, text] = [dateTime(from, zone).slice(0, 10), span(from, to, zone)];
  return text.startsWith(day) ? text : `${day} ${text}`;
}

function line(one: Finding): string {
  const weight = [change(one), percent(one.part)].filter(Boolean).join(", ");
  const link = new URL(below(one.link), location.href).href;
  return `${one.sentence.map(marked).join("")} (${weight}) [${one.prettyname}](${link})`;
}

const NAMES = ["host", "process", "frame", "label"];

function marked({ text, kind = "" }: Words): string {
  if (NAMES.includes(kind)) return `\`${text.replaceAll("`", "'")}\``;
  return kind === "value" || kind === "marker" ? `**${text}**` : text;
}
