"""torch_reads.py WRITER | --golden SCRIPT

PyTorch loads the .pth file that WRITER writes: every tensor is what the .safetensors file beside it holds, to the last
bit. --golden runs SCRIPT --check. Exit status 77 where there is no PyTorch.
"""
import json
import pathlib
import runpy
import subprocess
import sys
import tempfile
import zipfile

try:
    import torch
except ImportError as why:
    print('SKIPPED:', why)
    sys.exit(77)

TYPES = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16, 'F64': torch.float64}


def safetensors(path):
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], 'little')
    for name, entry in json.loads(content[8:start]).items():
        begin, end = entry['data_offsets']
        yield name, TYPES[entry['dtype']], entry['shape'], content[start + begin:start + end]


def bits(tensor):
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist()) if tensor.numel() else b''


def check_layout(path):
    """Data of every storage begin on a multiple of 64 bytes, stored, with a right checksum."""
    with zipfile.ZipFile(path) as archive, open(path, 'rb') as file:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED, info
            file.seek(info.header_offset + 26)
            name, extra = (int.from_bytes(file.read(2), 'little') for _ in range(2))
            assert (info.header_offset + 30 + name + extra) % 64 == 0, info


def main(writer):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([writer, folder], check=True)
        check_layout(folder / 'ours.pth')
        loaded = torch.load(folder / 'ours.pth')
        for name, dtype, shape, content in safetensors(folder / 'ours.safetensors'):
            tensor = loaded.pop(name)
            assert tensor.dtype == dtype and list(tensor.shape) == shape, name
            assert tensor.is_contiguous() and not tensor.requires_grad, name
            assert bits(tensor) == content, name
        assert not loaded, list(loaded)
        print('PyTorch', torch.__version__, 'reads every tensor')


if sys.argv[1] == '--golden':
    sys.argv = [sys.argv[2], '--check']
    runpy.run_path(sys.argv[0], run_name='__main__')
else:
    main(sys.argv[1])
