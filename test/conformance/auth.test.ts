/** Upstream's tests of test/e2e/auth, step by step, against one server. docs/conformance.md lists them all. */
import { access } from './auth/access.ts';
import { certificates } from './auth/certificates.ts';
import { serviceAccounts } from './auth/service_accounts.ts';
import { useCluster } from './cluster.ts';

const cluster = useCluster('--disable-agent');

for (const walk of [access, certificates, serviceAccounts]) walk(cluster);
