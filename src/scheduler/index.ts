export { createScheduler, type Scheduler, type SchedulerDeps, schedulerName } from './scheduler.ts';
