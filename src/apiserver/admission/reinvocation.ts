/**
 * Which webhooks or policies are asked again in the second round: those that want it, when the object has changed after they saw it
 * (k8s.io/apiserver pkg/admission/plugin/webhook/mutating/reinvocationcontext.go, policy/mutating/reinvocationcontext.go).
 */
import { jsonEqual } from '#kube/json-value.ts';
import type { MutatingRequest, Reinvocation } from '../contract.ts';

interface Rounds {
  /** Asked, and not told of a change since. */
  readonly asked: Set<string>;
  /** To be asked in the second round. */
  readonly again: Set<string>;
  /** The object as the plugin left it. */
  output: unknown;
}

/** What one plugin remembers of one request. Hooks are known by keys that are the same in both rounds. */
export interface HookRounds {
  /** Before the first hook of a round. */
  readonly begin: (r: MutatingRequest) => void;
  /** False: not in this round. What was not asked in the first round is not asked for the first time in the second. */
  readonly mayAsk: (r: MutatingRequest, hook: string) => boolean;
  /** A hook has been asked. `again`: it wants to be asked again when others change the object. */
  readonly asked: (r: MutatingRequest, hook: string, again: boolean) => void;
  /** A hook has changed the object: to be told before `asked`. */
  readonly changed: (r: MutatingRequest) => void;
  /** After the last hook of a round. */
  readonly end: (r: MutatingRequest) => void;
}

export function createHookRounds(): HookRounds {
  const known = new WeakMap<Reinvocation, Rounds>();
  const roundsOf = (r: MutatingRequest): Rounds => {
    let found = known.get(r.reinvocation);
    if (found === undefined) {
      found = { asked: new Set(), again: new Set(), output: undefined };
      known.set(r.reinvocation, found);
    }
    return found;
  };
  const askAgain = ({ asked, again }: Rounds): void => {
    for (const hook of asked) again.add(hook);
    asked.clear();
  };
  return {
    begin: (r) => {
      if (!r.reinvocation.again) return;
      const rounds = roundsOf(r);
      // Only the plugins in between can have changed it.
      if (!jsonEqual(rounds.output, r.object)) askAgain(rounds);
    },
    mayAsk: (r, hook) => !r.reinvocation.again || roundsOf(r).again.has(hook),
    asked: (r, hook, again) => {
      if (again) roundsOf(r).asked.add(hook);
    },
    changed: (r) => {
      askAgain(roundsOf(r));
      r.reinvocation.wanted = true;
    },
    end: (r) => {
      const rounds = known.get(r.reinvocation);
      if (rounds !== undefined && !r.reinvocation.again && rounds.asked.size > 0) rounds.output = structuredClone(r.object);
    },
  };
}
