/**
 * One nftables table as data: what should be in it, put together from fragments that each have an owner, and the
 * scripts for `nft -f -` that bring the kernel from one state to the next. Pure.
 */

export interface ChainDef {
  readonly name: string;
  /** For base chains: "type nat hook prerouting priority -100;". */
  readonly hook?: string;
  readonly rules: readonly string[];
}

export interface SetDef {
  readonly name: string;
  readonly kind: 'set' | 'map';
  /** "type ipv4_addr; flags dynamic,timeout; timeout 10800s;". */
  readonly spec: string;
}

export interface ElementDef {
  readonly set: string;
  readonly key: string;
  /** For maps. */
  readonly value?: string;
}

/** What one owner (the base, a service) wants in the table. */
export interface Fragment {
  readonly sets?: readonly SetDef[];
  readonly chains?: readonly ChainDef[];
  readonly elements?: readonly ElementDef[];
}

/** `garbage`: removals that some kernels refuse in the transaction that drops the last reference to them. */
export interface Scripts {
  readonly main: string;
  readonly garbage: string;
}

interface Claims {
  readonly set: string;
  readonly key: string;
  /** By owner, the first one counts: two services that claim the same address do not overwrite each other. */
  readonly values: Map<string, string>;
}

/** At most so many elements in one command. */
const batch = 500;

export class Table {
  readonly #where: string;
  readonly #fragments = new Map<string, Fragment>();
  readonly #claims = new Map<string, Claims>();
  /** Changes not yet in the kernel, by name: what was there before. */
  readonly #oldChains = new Map<string, ChainDef | undefined>();
  readonly #oldSets = new Map<string, SetDef | undefined>();
  readonly #oldElements = new Map<string, { readonly set: string; readonly key: string; readonly value: string | undefined }>();
  readonly #chains = new Map<string, ChainDef>();
  readonly #sets = new Map<string, SetDef>();

  /** `where`: family and name, "ip k3ts". */
  constructor(where: string) {
    this.#where = where;
  }

  get dirty(): boolean {
    return this.#oldChains.size + this.#oldSets.size + this.#oldElements.size > 0;
  }

  chainNames(): readonly string[] {
    return [...this.#chains.keys()];
  }

  /** Puts a fragment in place of the owner's former one; undefined removes it. Names of chains and sets are the owner's alone. */
  setFragment(owner: string, fragment: Fragment | undefined): void {
    const old = this.#fragments.get(owner);
    if (fragment === undefined) this.#fragments.delete(owner);
    else this.#fragments.set(owner, fragment);
    replace(old?.chains ?? [], fragment?.chains ?? [], sameChain, this.#chains, this.#oldChains);
    replace(old?.sets ?? [], fragment?.sets ?? [], (a, b) => a.spec === b.spec, this.#sets, this.#oldSets);
    const kept = new Set<string>();
    for (const e of fragment?.elements ?? []) {
      kept.add(idOf(e));
      this.#claim(owner, e);
    }
    for (const e of old?.elements ?? []) if (!kept.has(idOf(e))) this.#unclaim(owner, e);
  }

  #remember(id: string, c: Claims): void {
    if (!this.#oldElements.has(id)) this.#oldElements.set(id, { set: c.set, key: c.key, value: first(c) });
  }

  #claim(owner: string, e: ElementDef): void {
    const id = idOf(e);
    const claims = this.#claims.get(id) ?? { set: e.set, key: e.key, values: new Map<string, string>() };
    if (claims.values.get(owner) === (e.value ?? '')) return;
    this.#remember(id, claims);
    claims.values.set(owner, e.value ?? '');
    this.#claims.set(id, claims);
    this.#forgetIfSame(id);
  }

  #unclaim(owner: string, e: ElementDef): void {
    const id = idOf(e);
    const claims = this.#claims.get(id);
    if (claims?.values.has(owner) !== true) return;
    this.#remember(id, claims);
    claims.values.delete(owner);
    if (claims.values.size === 0) this.#claims.delete(id);
    this.#forgetIfSame(id);
  }

  #forgetIfSame(id: string): void {
    const now = this.#claims.get(id);
    if (this.#oldElements.get(id)?.value === (now === undefined ? undefined : first(now))) this.#oldElements.delete(id);
  }

  /** The commands for everything that changed since `applied` was last called. */
  changes(): Scripts {
    const main: string[] = [];
    const garbage: string[] = [];
    const doomed: string[] = [];
    for (const [name, old] of this.#oldSets) {
      const now = this.#sets.get(name);
      // A set cannot change its type or timeout in place; owners give it another name then.
      if (now !== undefined && old === undefined) main.push(this.#addSet(now));
      else if (now === undefined && old !== undefined) garbage.push(`delete ${old.kind} ${this.#where} ${name}`);
    }
    for (const [name, old] of this.#oldChains) {
      const now = this.#chains.get(name);
      if (now !== undefined && old === undefined) main.push(this.#addChain(now));
      else if (now === undefined && old !== undefined) doomed.push(name);
    }
    for (const [name, old] of this.#oldChains) {
      const now = this.#chains.get(name);
      if (now === undefined) continue;
      if (old !== undefined) main.push(`flush chain ${this.#where} ${name}`);
      main.push(...this.#rules(now));
    }
    main.push(...this.#elementChanges());
    for (const name of doomed) main.push(`flush chain ${this.#where} ${name}`);
    garbage.unshift(...doomed.map((name) => `delete chain ${this.#where} ${name}`));
    return { main: text(main), garbage: text(garbage) };
  }

  /** The kernel now has what `changes` or `full` said. */
  applied(): void {
    this.#oldChains.clear();
    this.#oldSets.clear();
    this.#oldElements.clear();
  }

  /** The whole table, in place of whatever is there: one transaction, so no packet meets a half-made table. */
  full(): string {
    const lines = [`add table ${this.#where}`, `delete table ${this.#where}`, `add table ${this.#where}`];
    for (const set of this.#sets.values()) lines.push(this.#addSet(set));
    for (const chain of this.#chains.values()) lines.push(this.#addChain(chain));
    for (const chain of this.#chains.values()) lines.push(...this.#rules(chain));
    const elements: ElementDef[] = [];
    for (const c of this.#claims.values()) elements.push({ set: c.set, key: c.key, value: first(c) ?? '' });
    lines.push(...this.#elementCommands('add', elements));
    return text(lines);
  }

  #elementChanges(): string[] {
    const removed: ElementDef[] = [];
    const added: ElementDef[] = [];
    for (const [id, old] of this.#oldElements) {
      const claims = this.#claims.get(id);
      const now = claims === undefined ? undefined : first(claims);
      const gone = !this.#sets.has(old.set);
      if (old.value !== undefined && !gone) removed.push({ set: old.set, key: old.key, value: old.value });
      if (now !== undefined) added.push({ set: old.set, key: old.key, value: now });
    }
    return [...this.#elementCommands('delete', removed), ...this.#elementCommands('add', added)];
  }

  #elementCommands(verb: 'add' | 'delete', elements: readonly ElementDef[]): string[] {
    const bySet = Map.groupBy(elements, (e) => e.set);
    const lines: string[] = [];
    for (const [set, list] of bySet) {
      for (let i = 0; i < list.length; i += batch) {
        const items = list.slice(i, i + batch).map((e) => (e.value === undefined || e.value === '' ? e.key : `${e.key} : ${e.value}`));
        lines.push(`${verb} element ${this.#where} ${set} { ${items.join(', ')} }`);
      }
    }
    return lines;
  }

  #addSet(set: SetDef): string {
    return `add ${set.kind} ${this.#where} ${set.name} { ${set.spec} }`;
  }

  #addChain(chain: ChainDef): string {
    return `add chain ${this.#where} ${chain.name}${chain.hook === undefined ? '' : ` { ${chain.hook} }`}`;
  }

  #rules(chain: ChainDef): string[] {
    return chain.rules.map((rule) => `add rule ${this.#where} ${chain.name} ${rule}`);
  }
}

const idOf = (e: ElementDef): string => `${e.set}|${e.key}`;
const first = (c: Claims): string | undefined => c.values.values().next().value;
const text = (lines: readonly string[]): string => (lines.length === 0 ? '' : `${lines.join('\n')}\n`);
const sameChain = (a: ChainDef, b: ChainDef): boolean => a.rules.length === b.rules.length && a.rules.every((r, i) => r === b.rules[i]);

function replace<T extends { readonly name: string }>(
  old: readonly T[],
  now: readonly T[],
  same: (a: T, b: T) => boolean,
  current: Map<string, T>,
  before: Map<string, T | undefined>,
): void {
  const kept = new Set(now.map((n) => n.name));
  const change = (name: string, value: T | undefined): void => {
    const was = current.get(name);
    if (!before.has(name)) before.set(name, was);
    if (value === undefined) current.delete(name);
    else current.set(name, value);
    const original = before.get(name);
    const isSame = original === undefined ? value === undefined : value !== undefined && same(original, value);
    if (isSame) before.delete(name);
  };
  for (const n of now) {
    const was = current.get(n.name);
    if (was === undefined || !same(was, n)) change(n.name, n);
  }
  for (const o of old) if (!kept.has(o.name)) change(o.name, undefined);
}
