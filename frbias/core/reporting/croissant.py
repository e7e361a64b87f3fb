"""Croissant metadata of an image set (MLCommons Croissant 1.0): what the files are and what their columns mean."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

_TYPES = {"f": "sc:Float", "i": "sc:Integer"}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    frame: pd.DataFrame, *, name: str, description: str, licence: str, version: str, table: str, table_sha256: str,
    meanings: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """The JSON-LD document of an image set.

    Args:
        frame: Its table, as written.
        name, description, licence, version: Of the set.
        table: Name of the table's file (Parquet).
        table_sha256: Its hash.
        meanings: What the columns mean.
    """
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"faces/{column}",
            "name": f"faces/{column}",
            "description": meanings.get(str(column), ""),
            "dataType": _TYPES.get(frame[column].dtype.kind, "sc:Text"),
            "source": {"fileObject": {"@id": table}, "extract": {"column": str(column)}},
        }
        for column in frame.columns
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "license": licence,
        "version": version,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": table,
                "name": table,
                "contentUrl": table,
                "encodingFormat": "application/x-parquet",
                "sha256": table_sha256,
            },
            {
                "@type": "cr:FileSet",
                "@id": "images",
                "name": "images",
                "encodingFormat": "image/png",
                "includes": "**/*.png",
            },
        ],
        "recordSet": [{"@type": "cr:RecordSet", "@id": "faces", "name": "faces", "field": fields}],
    }
