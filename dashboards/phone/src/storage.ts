/** Choices that stay on this phone. A browser that forbids storage costs the memory, never the page. */

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(`sen.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`sen.${name}`, value);
  } catch {
    // Full or forbidden: the choice holds until the page is closed.
  }
}
