/** Upstream's integration tests of the API server (test/integration), and what issue 3 asks for beside, against one server. */
import { useCluster } from './cluster.ts';
import { apiserver } from './integration/apiserver.ts';
import { csaUpgrade } from './integration/csa_upgrade.ts';
import { dryRun } from './integration/dry_run.ts';
import { hostile } from './integration/hostile.ts';
import { representations } from './integration/representations.ts';
import { statusWrites } from './integration/status.ts';
import { writes } from './integration/writes.ts';

const cluster = useCluster('--disable-agent');

for (const walk of [dryRun, writes, representations, csaUpgrade, statusWrites, apiserver, hostile]) walk(cluster);
