import { expect, test } from 'vitest';
import { type Fragment, Table } from './table.ts';

const where = 'ip t';
const web = (rule: string, target = 'a'): Fragment => ({
  chains: [{ name: 'c-web', rules: [rule] }],
  elements: [{ set: 'm', key: '10.0.0.1 . tcp . 80', value: `goto ${target}` }],
});
const base: Fragment = {
  sets: [{ name: 'm', kind: 'map', spec: 'type x : verdict;' }],
  chains: [{ name: 'top', hook: 'type nat hook prerouting priority -100;', rules: ['jump c'] }],
};

function settled(fragments: Readonly<Record<string, Fragment>>): Table {
  const table = new Table(where);
  for (const [owner, f] of Object.entries(fragments)) table.setFragment(owner, f);
  table.applied();
  return table;
}

test('the whole table is written in one transaction that replaces the old one', () => {
  const table = new Table(where);
  table.setFragment('base', base);
  table.setFragment('web', web('accept'));
  expect(table.full().split('\n')).toEqual([
    'add table ip t',
    'delete table ip t',
    'add table ip t',
    'add map ip t m { type x : verdict; }',
    'add chain ip t top { type nat hook prerouting priority -100; }',
    'add chain ip t c-web',
    'add rule ip t top jump c',
    'add rule ip t c-web accept',
    'add element ip t m { 10.0.0.1 . tcp . 80 : goto a }',
    '',
  ]);
});

test('a changed chain is flushed and filled, and nothing else is touched', () => {
  const table = settled({ base, web: web('accept') });
  table.setFragment('web', web('drop'));
  expect(table.changes()).toEqual({ main: 'flush chain ip t c-web\nadd rule ip t c-web drop\n', garbage: '' });
});

test('a changed element is deleted with its old value before it is added with the new one', () => {
  const table = settled({ base, web: web('accept') });
  table.setFragment('web', web('accept', 'b'));
  expect(table.changes().main.split('\n')).toEqual([
    'delete element ip t m { 10.0.0.1 . tcp . 80 : goto a }',
    'add element ip t m { 10.0.0.1 . tcp . 80 : goto b }',
    '',
  ]);
});

test('what is removed is emptied at once and deleted afterwards', () => {
  const table = settled({ base, web: web('accept') });
  table.setFragment('web', undefined);
  expect(table.changes()).toEqual({
    main: 'delete element ip t m { 10.0.0.1 . tcp . 80 : goto a }\nflush chain ip t c-web\n',
    garbage: 'delete chain ip t c-web\n',
  });
});

test('changes that cancel each other out leave nothing to do', () => {
  const table = settled({ base, web: web('accept') });
  table.setFragment('web', undefined);
  table.setFragment('web', web('drop'));
  table.setFragment('web', web('accept'));
  expect(table.dirty).toBe(false);
});

test('of two owners of an element the first counts until it lets go', () => {
  const one: Fragment = { elements: [{ set: 'm', key: 'k', value: 'goto one' }] };
  const two: Fragment = { elements: [{ set: 'm', key: 'k', value: 'goto two' }] };
  const table = settled({ base, one });
  table.setFragment('two', two);
  expect(table.dirty).toBe(false);
  table.setFragment('one', undefined);
  expect(table.changes().main).toBe('delete element ip t m { k : goto one }\nadd element ip t m { k : goto two }\n');
});

test('many elements are added in commands of bounded length', () => {
  const elements = Array.from({ length: 1200 }, (_, i) => ({ set: 'm', key: `k${i}` }));
  const table = settled({ base });
  table.setFragment('many', { elements });
  expect(table.changes().main.match(/add element/g)).toHaveLength(3);
});
