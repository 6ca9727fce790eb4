import type { History, Revision } from './contract.ts';

/** The revision `count` writes before another: as many revisions back, not counting those lost in crashes. */
export function goBack(revision: Revision, lost: History['lost'], count: number): Revision {
  let at = revision;
  let left = count;
  for (const gap of lost.toReversed()) {
    if (gap.until > at) continue;
    if (at - gap.until >= left) break;
    left -= at - gap.until;
    at = gap.after;
  }
  return at - left;
}

/** The revision itself, or, when it may have been lost, the next one from which one can resume: nothing happened in between. */
export function skipLost(revision: Revision, lost: History['lost']): Revision {
  return lost.find((gap) => revision > gap.after && revision < gap.until)?.until ?? revision;
}
