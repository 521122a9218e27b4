export { startCoordinator, type Coordinator, type CoordinatorDeps } from './process/coordinator.ts'
