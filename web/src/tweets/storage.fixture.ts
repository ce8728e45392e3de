/** For tests: a storage as browsers have it, with a bound that a test may set. */
export class MemoryStorage implements Storage {
  private readonly items = new Map<string, string>();
  /** Characters of keys and values together. */
  charactersMax = Number.POSITIVE_INFINITY;

  get length(): number {
    return this.items.size;
  }

  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null;
  }

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    let characters = key.length + value.length;
    for (const [other, text] of this.items) if (other !== key) characters += other.length + text.length;
    if (characters > this.charactersMax) throw new DOMException("full", "QuotaExceededError");
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }

  clear(): void {
    this.items.clear();
  }
}
