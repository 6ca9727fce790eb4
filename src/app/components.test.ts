import { describe, expect, test } from 'vitest';
import { type Component, createSystem, inOrder } from './components.ts';

/** Components that write down what happens to them; `fails` names those whose start or stop fails. */
function recorded(needs: Readonly<Record<string, readonly string[]>>, fails: readonly string[] = [], disabled: readonly string[] = []) {
  const seen: string[] = [];
  const act = async (what: string): Promise<void> => {
    seen.push(what);
    if (fails.includes(what)) throw new Error(what);
  };
  const components: Component<null, null>[] = Object.entries(needs).map(([name, list]) => ({
    name,
    needs: list,
    enabled: () => !disabled.includes(name),
    create: () => ({ start: () => act(`start ${name}`), stop: () => act(`stop ${name}`), notReady: () => undefined }),
  }));
  return { seen, components, system: createSystem(components, null, null) };
}

describe('a system of components', () => {
  test('starts in the order of needs and stops in reverse', async () => {
    const { seen, system } = recorded({ c: ['b'], a: [], b: ['a'] });
    await system.start();
    await system.stop();
    expect(seen).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  });

  test('stops only what was started, the failed one included, when a start fails', async () => {
    const { seen, system } = recorded({ a: [], b: ['a'], c: ['b'] }, ['start b']);
    await expect(system.start()).rejects.toThrow('start b');
    await system.stop();
    expect(seen).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });

  test('stops all even when one refuses, and says which', async () => {
    const { seen, system } = recorded({ a: [], b: ['a'] }, ['stop b']);
    await system.start();
    await expect(system.stop()).rejects.toThrow('stopping b');
    expect(seen.slice(2)).toEqual(['stop b', 'stop a']);
  });

  test('leaves out what is disabled', async () => {
    const { seen, system } = recorded({ a: [], b: ['a'], c: ['b'] }, [], ['b']);
    await system.start();
    expect(seen).toEqual(['start a', 'start c']);
    expect([...system.readiness().keys()]).toEqual(['a', 'c']);
  });

  test('refuses circles and unknown names', () => {
    const components = (needs: Readonly<Record<string, readonly string[]>>) => () => recorded(needs);
    expect(components({ a: ['b'], b: ['a'] })).toThrow('components need each other: a → b → a');
    expect(components({ a: ['x'] })).toThrow('component a needs x, which does not exist');
    expect(inOrder([], null)).toEqual([]);
  });
});
