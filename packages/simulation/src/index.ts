export { World, type NodeFacts, type WorldListener, type WorldOptions } from './world.ts'
