-- Orthanc calls this when no instance of a series arrived for `StableAge` seconds. Results come back as SEG, and are
-- not sent again. The sending is a job of Orthanc's: its page lists it, failed ones too, under Jobs.
function OnStableSeries(id, tags, metadata)
  if tags['Modality'] == 'CT' or tags['Modality'] == 'MR' then
    local request = { Resources = { id }, Synchronous = false }
    RestApiPost('/modalities/bedside/store', DumpJson(request, true))
  end
end
