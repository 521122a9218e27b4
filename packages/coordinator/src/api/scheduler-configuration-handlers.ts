/** CoordinatorService's calls about how the scheduler chooses, read and changed while the cluster runs. */
import { create, equals } from '@bufbuild/protobuf'
import {
  errorOfProblems,
  SchedulerConfigurationSchema,
  validateSchedulerConfiguration,
  type SchedulerConfiguration,
  type UpdateSchedulerConfigurationRequest,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import {
  changedConfiguration,
  servedConfiguration,
  type SchedulerSettings,
} from '../controllers/scheduler-configuration.ts'
import { clusterRecordId } from '../state/cluster-record.ts'
import { putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'
import { rememberNothing, type Remember } from '../state/remember.ts'

export interface SchedulerConfigurationHandlersDeps {
  readonly state: ClusterState
  /** What the configuration file says. */
  readonly file: SchedulerSettings
  readonly onChanged: (configuration: SchedulerConfiguration) => void
}

export function schedulerConfigurationHandlers(deps: SchedulerConfigurationHandlersDeps) {
  const { state, file } = deps

  function served(): SchedulerConfiguration {
    const held = state.held('cluster', clusterRecordId)!
    return servedConfiguration(file, held.record.scheduler, held.modRevision)
  }

  function decide(
    request: UpdateSchedulerConfigurationRequest,
    remember: Remember<SchedulerConfiguration>,
  ) {
    const held = state.held('cluster', clusterRecordId)!
    const change = request.configuration
    const expected = Number(change?.resourceVersion ?? 0n)
    if (expected !== 0 && expected !== held.modRevision) {
      throw new CloudlessError(
        'conflict',
        `the scheduler's configuration has changed since you read it (version ${expected}, now ` +
          `${held.modRevision}): read it again and repeat your change`,
      )
    }
    const scheduler = changedConfiguration(held.record.scheduler, change, request.reset)
    const before = held.record.scheduler ?? create(SchedulerConfigurationSchema)
    const isChange = !equals(SchedulerConfigurationSchema, before, scheduler)
    const record = { ...held.record, scheduler }
    return {
      preconditions: [unchanged('cluster', held), ...remember.preconditions],
      writes: [
        ...(isChange ? [putRecord('cluster', clusterRecordId, record)] : []),
        ...remember.writes(servedConfiguration(file, scheduler, 0)),
      ],
      result: isChange,
    }
  }

  return {
    getSchedulerConfiguration: served,

    async updateSchedulerConfiguration(
      request: UpdateSchedulerConfigurationRequest,
      remember: Remember<SchedulerConfiguration> = rememberNothing,
    ): Promise<SchedulerConfiguration> {
      const { configuration, reset } = request
      if (configuration === undefined && !reset) {
        throw new CloudlessError('invalid_argument', 'configuration: must be set, or reset')
      }
      const problems = configuration ? validateSchedulerConfiguration(configuration) : []
      if (problems.length > 0) {
        throw errorOfProblems("the scheduler's configuration is not valid", problems)
      }
      const isChange = await state.update(() => decide(request, remember))
      const result = served()
      if (isChange) deps.onChanged(result)
      return result
    },
  }
}
