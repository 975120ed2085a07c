// The machine's peaks: peak [flags of lab.h]
#include "ladder.h"
#include "peaks.h"

int main(int argc, char** argv) {
  const lab::Options options = lab::options(argc, argv);
  lab::Ladder ladder(options, "Peaks of this machine");
  bool read = false;
  for (const std::string& isa : options.isas) {
    const qr_dev device = lab::open(isa, options.threads);
    if (device == 0) continue;
    const QrDeviceInfo info = lab::info_of(device);
    for (uint64_t megabytes : {100, 1000}) {  // the same for every level
      if (!read) ladder.peak(info, "read", std::to_string(megabytes) + " MB", {lab::read_peak(device, megabytes * 1000000), 0});
    }
    read = true;
    ladder.peak(info, "int8", "registers", {0, lab::int8_peak(device)});
    ladder.peak(info, "float32", "registers", {0, lab::f32_peak(device)});
    lab::require(qr_device_close(device));
  }
}
