/* Release of deployments. */
#include "common/graph/deployment.h"

#include "common/base/allocate.h"

static void channel_groups_done(struct channel_group *groups, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < groups[i].peer_count; j++)
            free(groups[i].peers[j].data_address);
        free(groups[i].peers);
    }
    free(groups);
}

void task_deployment_done(struct task_deployment *deployment)
{
    channel_groups_done(deployment->inputs, deployment->input_count);
    channel_groups_done(deployment->outputs, deployment->output_count);
    if (deployment->state != NULL)
        task_state_done(deployment->state);
    free(deployment->state);
    *deployment = (struct task_deployment){0};
}
