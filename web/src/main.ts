// Starts the page: the catalogue of data types first, then what the address asks for.

import { ApiError, get } from "./api/client";
import { namesBaseline } from "./header/baseline";
import { columnsWith, resolve, type Context } from "./state/context";
import { h } from "./ui/dom";
import { exact } from "./ui/format";
import { warning } from "./views/notices";
import { Page } from "./page";
import { moment } from "./state/ranges";
import { inFull, INITIAL, MOST_FILTERS, Store, tooMany } from "./state/address";
import { sheets } from "./ui/sheet";
import { short } from "./ui/text";
import { followTheme } from "./ui/theme";
import type { Categories, CategoryAnswer, Notice } from "../generated/types";

async function start(): Promise<void> {
  followTheme();
  if (location.pathname.endsWith("/new")) {
    const [{ NewPage }] = await Promise.all([
      import("./views/new_category"),
      sheets("details", "new_category"),
    ]);
    new NewPage();
    return;
  }
  // Its code comes with the catalogue of data types.
  if (/[?&]table=/.test(location.search)) void import("./explore");
  const search = await inFull(location.search);
  const store = new Store(search ?? "");
  const catalog = await get<Categories>("api/v1/categories", []);
  if (!catalog.categories.length) {
    fail("No categories", "The server has no readable category file; its log says why.");
    return;
  }
  const told = fixAddress(store, catalog.categories, search);
  let page: Page | null = null;
  const context: Context = {
    ...catalog,
    store,
    range: resolve(store.state),
    sizes: null,
    refresh: () => page?.refresh(),
    recheck: () => void page?.recheck(),
  };
  page = new Page(context, told);
}

/** Replace values of the address that do not exist; return a notice for each. */
function fixAddress(store: Store, categories: CategoryAnswer[], search: string | null): Notice[] {
  const told: string[] = [];
  if (search === null) told.push("The link is damaged: ask for it again. This is Home.");
  const { table } = store.state;
  if (table && !categories.some((one) => one.table === table)) {
    const first = categories.find((one) => columnsWith(one, "stack").length) ?? categories[0];
    told.push(`There is no data type ${short(table, 80)} here: this is ${first.prettyname}.`);
    store.set({ table: first.table }, "replace");
  }
  const left = tooMany(search ?? "");
  if (left) {
    told.push(`filter: ${exact(left)} filters of the address are left out; use ${MOST_FILTERS}.`);
  }
  for (const key of ["from", "to", "base.from", "base.to"] as const) {
    const text = store.state[key];
    if (key.startsWith("base.") ? namesBaseline(text) : moment(text) !== null) continue;
    const instead = INITIAL[key] ? `${INITIAL[key]} is used instead` : "it is left out";
    told.push(`${key}=${short(text, 80)} in the address is not a time: ${instead}.`);
    store.set({ [key]: INITIAL[key] }, "replace");
  }
  return told.map(warning);
}

function fail(title: string, detail: string): void {
  document.body.replaceChildren(h("main.empty", h("h1", title), h("p", detail)));
}

start().catch((error: unknown) => {
  if (error instanceof ApiError) fail(error.title, error.detail);
  else throw error;
});
