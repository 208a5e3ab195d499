# The simulator of the control plane: tests/sim.
SEEDS      ?= 1000
FIRST_SEED ?= 1
SIM_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/sim/*.c)))

$(BUILD)/tests/sim/sim: $(SIM_OBJECTS) $(LIBRARY)
	@$(CC) $(LDFLAGS) -o $@ $(SIM_OBJECTS) $(LIBRARY) $(LDLIBS)

.PHONY: sim sim-planted
sim: $(BUILD)/tests/sim/sim ## the control plane under SEEDS=n simulated disasters from FIRST_SEED=s on
	$(BUILD)/tests/sim/sim --seeds $(SEEDS) --first-seed $(FIRST_SEED)

sim-planted: $(BUILD)/tests/sim/sim ## planted bugs must be found
	$(BUILD)/tests/sim/sim --planted --seeds 200
