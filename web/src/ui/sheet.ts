// Style sheets of parts of the page, which are loaded with the part; `index.html` lists them.

const loading = new Map<string, Promise<void>>();

/** Resolves when the sheets apply; rejects when one cannot be had, and asks for it again next time. */
export async function sheets(...names: string[]): Promise<void> {
  await Promise.all(names.map(sheet));
}

function sheet(name: string): Promise<void> {
  const asked = loading.get(name) ?? load(name);
  loading.set(name, asked);
  asked.catch(() => loading.delete(name));
  return asked;
}

function load(name: string): Promise<void> {
  const link = document.querySelector<HTMLLinkElement>(`link[data-part="${name}"]`);
  if (!link?.disabled) return Promise.resolve();
  return new Promise((loaded, failed) => {
    link.onload = () => loaded();
    link.onerror = () => {
      link.disabled = true;
      failed(new Error(`The style sheet of ${name} is not there.`));
    };
    link.disabled = false;
  });
}
