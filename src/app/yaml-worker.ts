/** Entry of the thread that reads long YAML. */
import { runYamlThread } from '#apiserver/yaml-thread.ts';

runYamlThread();
