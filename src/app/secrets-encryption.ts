/** Encryption of secrets that is turned on, off and rotated while the server runs: `k3ts secrets-encrypt`. */
import type { ApiRequest, ApiResponse, ExtraRoute } from '#apiserver/contract.ts';
import { badRequest, StatusError } from '#kube/status-error.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { readText, writeAtomically } from '#pki/files.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/log.ts';
import type { Store } from '#store/contract.ts';
import { createEncryptedStore, type EncryptionPolicy, type LocalKey, type LocalProvider, rewriteEncrypted } from '#store/encryption.ts';
import { encryptionConfigText, newEncryptionKey, parseEncryptionConfig } from '#store/encryption-config.ts';

export const encryptionActions = ['enable', 'disable', 'prepare', 'rotate', 'reencrypt', 'rotate-keys'] as const;
export type EncryptionAction = (typeof encryptionActions)[number];

/** K3s' stages of a rotation. In the two in the middle secrets are being rewritten. */
const stages = ['start', 'prepare', 'rotate', 'reencrypt_request', 'reencrypt_active', 'reencrypt_finished'] as const;
type Stage = (typeof stages)[number];

export interface EncryptionStatus {
  readonly enabled: boolean;
  readonly stage: string;
  /** The key that encrypts. */
  readonly activeKey?: string;
  /** All keys that can still decrypt. */
  readonly keys: readonly { readonly name: string; readonly provider: string }[];
  /** What kept the last rewriting from its end. */
  readonly problem?: string;
}

export interface SecretsEncryption {
  /** The store that encrypts. */
  readonly store: Store;
  readonly routes: readonly ExtraRoute[];
  /** From now on this policy counts, where encryption is configured by a file. */
  readonly usePolicy: (policy: EncryptionPolicy) => void;
  /** Goes on with a rewriting that a crash or a stop interrupted. */
  readonly start: () => void;
  readonly stop: () => Promise<void>;
}

export interface EncryptionOptions {
  /** Folder of the keys and of the stage. */
  readonly folder: string;
  /** --encryption-provider-config, which is the administrator's and not changed here. */
  readonly fixed?: EncryptionPolicy;
  /** --secrets-encryption with its provider: keys are made where there are none yet. */
  readonly provider?: LocalProvider;
}

interface Keys {
  readonly enabled: boolean;
  /** The first encrypts. */
  readonly list: readonly LocalKey[];
}

interface State {
  readonly stage: Stage;
  /** While secrets are rewritten: the stage after that, and whether keys that encrypt no more are forgotten then. */
  readonly then?: Stage;
  readonly forget?: boolean;
}

const secrets = ['/registry/core/secrets/'];
const isRewriting = (stage: Stage): boolean => stage === 'reencrypt_request' || stage === 'reencrypt_active';

/** A request waits this long for the rewriting that it began; who wants to know more asks for the status. */
const waitMs = 20_000;

const policyOf = ({ enabled, list }: Keys): EncryptionPolicy => [{ prefixes: secrets, write: enabled ? list[0] : undefined, read: list }];

function keysOf(policy: EncryptionPolicy): Keys {
  const [rule] = policy;
  return { enabled: rule?.write !== undefined, list: (rule?.read ?? []).filter((key) => key.provider !== 'kms') };
}

function stateOf(text: string | undefined): State {
  if (text === undefined) return { stage: 'start' };
  const read = JSON.parse(text) as Partial<Record<keyof State, unknown>> | null;
  const known = (value: unknown): Stage | undefined => stages.find((s) => s === value);
  const then = known(read?.then);
  return { stage: known(read?.stage) ?? 'start', ...(then === undefined ? {} : { then }), forget: read?.forget === true };
}

interface Command {
  readonly action: EncryptionAction;
  /** reencrypt: whatever the stage is. */
  readonly force: boolean;
  /** reencrypt: keep the old key. */
  readonly skip: boolean;
}

function commandOf(request: ApiRequest): Command {
  let body: Readonly<Record<string, unknown>> | null;
  try {
    body = JSON.parse(Buffer.from(request.body ?? []).toString('utf8')) as Readonly<Record<string, unknown>> | null;
  } catch {
    throw badRequest('the body must be JSON with a field action');
  }
  const action = encryptionActions.find((a) => a === body?.['action']);
  if (action === undefined) throw badRequest(`action must be one of ${encryptionActions.join(', ')}`);
  return { action, force: body?.['force'] === true, skip: body?.['skip'] === true };
}

interface Next {
  readonly keys: Keys;
  readonly state: State;
}

const rewriting = (then: Stage, forget: boolean): State => ({ stage: 'reencrypt_request', then, forget });

/** What an action makes of keys and stage. Throws StatusError BadRequest where it makes no sense. */
function nextOf(command: Command, keys: Keys, stage: Stage, fresh: () => LocalKey): Next {
  const { action, force, skip } = command;
  if (action === 'enable')
    return { keys: { enabled: true, list: keys.list.length === 0 ? [fresh()] : keys.list }, state: rewriting('start', false) };
  if (action === 'disable') return { keys: { ...keys, enabled: false }, state: rewriting('start', false) };
  const incorrect = (): StatusError => badRequest(`incorrect stage: ${stage} found`);
  const settled = stage === 'start' || stage === 'reencrypt_finished';
  if (action === 'reencrypt') {
    if (stage !== 'rotate' && !force) throw incorrect();
    return { keys, state: rewriting('reencrypt_finished', !skip && keys.enabled) };
  }
  if (!keys.enabled) throw badRequest('secrets-encryption is disabled: enable it first');
  const [active, ...others] = keys.list;
  switch (action) {
    case 'prepare':
      if (!settled && !force) throw incorrect();
      return { keys: { ...keys, list: [...(active === undefined ? [] : [active]), fresh(), ...others] }, state: { stage: 'prepare' } };
    case 'rotate':
      if (stage !== 'prepare' && !force) throw incorrect();
      if (others[0] === undefined) throw badRequest('there is no new key: prepare one first');
      return {
        keys: { ...keys, list: [others[0], ...(active === undefined ? [] : [active]), ...others.slice(1)] },
        state: { stage: 'rotate' },
      };
    case 'rotate-keys':
      if (!settled && !force) throw incorrect();
      return { keys: { ...keys, list: [fresh(), ...keys.list] }, state: rewriting('reencrypt_finished', true) };
  }
}

const json = (value: unknown): ApiResponse => ({
  type: 'bytes',
  status: 200,
  contentType: 'application/json',
  body: `${JSON.stringify(value)}\n`,
});

/** Rejects when the files cannot be read or understood. */
export async function openSecretsEncryption(
  bare: Store,
  options: EncryptionOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): Promise<SecretsEncryption> {
  const { fixed } = options;
  const keyFile = `${options.folder}/encryption-config.json`;
  const stateFile = `${options.folder}/encryption-state.json`;
  const [keyText, stateText] = await Promise.all([fixed === undefined ? readText(keyFile) : undefined, readText(stateFile)]);
  let keys: Keys = keyText === undefined ? { enabled: false, list: [] } : keysOf(parseEncryptionConfig(keyText));
  let state = stateOf(stateText);
  let policy = fixed ?? policyOf(keys);
  let problem: string | undefined;
  let job: Promise<void> | undefined;
  const store = createEncryptedStore(bare, () => policy);
  const tasks = new TaskGroup();
  const fresh = (): LocalKey => newEncryptionKey(new Date(deps.clock.now()), options.provider ?? keys.list[0]?.provider);

  const useState = async (next: State): Promise<void> => {
    await writeAtomically(stateFile, JSON.stringify(next));
    state = next;
  };
  const useKeys = async (next: Keys): Promise<void> => {
    // On disk before anything is encrypted with them.
    if (fixed === undefined && (next.list.length > 0 || keys.list.length > 0))
      await writeAtomically(keyFile, encryptionConfigText(next.list, next.enabled));
    keys = next;
    if (fixed === undefined) policy = policyOf(next);
  };
  const rewrite = async (signal: AbortSignal): Promise<void> => {
    const { then = 'reencrypt_finished', forget = false } = state;
    await useState({ ...state, stage: 'reencrypt_active' });
    const prefixes = policy.flatMap((rule) => rule.prefixes);
    const rewritten = await rewriteEncrypted(store, prefixes, signal);
    // What was replaced must not be read from the file, and the old keys are needed for none of it any more.
    await bare.compact(await bare.revision(), { scrub: true });
    if (forget) await useKeys({ ...keys, list: keys.list.slice(0, 1) });
    await useState({ stage: then });
    deps.log.info('secrets were rewritten', { rewritten, encrypted: policy[0]?.write !== undefined });
  };
  const begin = (): Promise<void> => {
    job ??= new Promise<void>((resolve) => {
      tasks.spawn(async (signal) => {
        try {
          problem = undefined;
          await rewrite(signal);
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error);
          deps.log.error('secrets could not all be rewritten', { error });
        } finally {
          job = undefined;
          resolve();
        }
      });
    });
    return job;
  };

  if (fixed === undefined && keyText === undefined && options.provider !== undefined) {
    await useState(rewriting('start', false));
    await useKeys({ enabled: true, list: [fresh()] });
  }

  const status = (): EncryptionStatus => {
    const active = policy[0]?.write;
    const all = [...new Set(policy.flatMap((rule) => rule.read))];
    return {
      enabled: active !== undefined,
      stage: state.stage,
      ...(active === undefined ? {} : { activeKey: active.name }),
      keys: all.map(({ name, provider }) => ({ name, provider })),
      ...(problem === undefined ? {} : { problem }),
    };
  };
  let busy = false;
  const change = async (command: Command): Promise<EncryptionStatus> => {
    if (fixed !== undefined && command.action !== 'reencrypt')
      throw badRequest('encryption is configured by encryption-provider-config: change that file');
    if (busy || job !== undefined) throw new StatusError('Conflict', 'another change of the encryption is under way');
    busy = true;
    try {
      const next = nextOf(fixed === undefined ? command : { ...command, force: true, skip: true }, keys, state.stage, fresh);
      // The stage first: after a crash in between secrets are rewritten once too often rather than not at all.
      if (isRewriting(next.state.stage)) await useState(next.state);
      await useKeys(next.keys);
      if (!isRewriting(next.state.stage)) await useState(next.state);
      deps.log.info('encryption of secrets changes', { action: command.action });
    } finally {
      busy = false;
    }
    if (isRewriting(state.stage)) await Promise.race([begin(), deps.clock.sleep(waitMs, tasks.signal)]);
    return status();
  };
  return {
    store,
    start: () => {
      if (isRewriting(state.stage)) void begin();
    },
    stop: () => tasks.close(),
    usePolicy: (next) => {
      policy = next;
    },
    routes: [
      {
        methods: ['GET'],
        path: '/v1-k3ts/encrypt/status',
        access: 'authorized',
        handle: async () => await Promise.resolve(json(status())),
      },
      {
        methods: ['POST'],
        path: '/v1-k3ts/encrypt/config',
        access: 'authorized',
        handle: async (r) => json(await change(commandOf(r))),
      },
    ],
  };
}
